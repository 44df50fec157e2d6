/** ms */
const units = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000, y: 365 * 86_400_000 } as const

/** The end of the year 9999, after which dates are written with more digits. ms since epoch. */
const latestExpiry = Date.parse('9999-12-31T23:59:59Z')

/** What `--expires` takes, for messages. */
export const expiryForms = '90d (or m, h, w, y), a date such as 2027-01-31, or never'

/**
 * The end of a lifetime as a person writes it, in ms since epoch. A date lasts until its day is over in UTC.
 *
 * @param now - ms since epoch
 * @returns `never`, or `undefined` for what is none of {@link expiryForms}
 */
export function readExpiry(text: string, now: number): number | 'never' | undefined {
  if (text === 'never') return 'never'
  const [, amount, unit] = /^([1-9]\d{0,5})([mhdwy])$/.exec(text) ?? []
  if (amount !== undefined && isUnit(unit)) {
    const end = now + Number(amount) * units[unit]
    return end <= latestExpiry ? end : undefined
  }
  const time = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?$/.exec(text)
  if (time === null) return undefined
  const at = Date.parse(text)
  // JavaScript reads the 31st of February as a day of March.
  if (Number.isNaN(at) || (time[1] === undefined && new Date(at).toISOString().slice(0, 10) !== text)) return undefined
  return time[1] === undefined ? at + units.d : at
}

function isUnit(text: string | undefined): text is keyof typeof units {
  return text !== undefined && Object.hasOwn(units, text)
}
