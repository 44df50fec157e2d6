/** Units of Go's `time.ParseDuration`, in milliseconds. */
const units: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000
}

const shape = /^\+?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/
const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g
/** Go counts nanoseconds in 63 bits. */
const longest = 2_562_047 * 3_600_000

/**
 * A duration as Go writes it (`10s`, `1h30m`, `168h`), in whole milliseconds. A bare integer is nanoseconds, as it is to
 * distribution. `undefined` when it is none, is negative, or is more than nothing and less than a millisecond (`10` for
 * `10s`).
 */
export function readDuration(text: string): number | undefined {
  let milliseconds = 0
  if (/^\d+$/.test(text)) milliseconds = Number(text) * 1e-6
  else if (shape.test(text)) {
    for (const [, amount, unit] of text.matchAll(part))
      milliseconds += Number(amount) * (units[unit ?? ''] ?? Number.NaN)
  } else return undefined
  if (milliseconds > 0 && milliseconds < 0.999_999) return undefined
  return milliseconds <= longest ? Math.round(milliseconds) : undefined
}

/** Milliseconds as a duration {@link readDuration} reads back: `1h30m`, `168h`, `1500ms` as `1s500ms`, `0s`. */
export function showDuration(milliseconds: number): string {
  let rest = milliseconds
  let text = ''
  for (const unit of ['h', 'm', 's', 'ms']) {
    const length = units[unit] ?? 1
    const amount = Math.floor(rest / length)
    if (amount > 0) text += `${amount}${unit}`
    rest -= amount * length
  }
  return text === '' ? '0s' : text
}
