const factors: Record<string, number> = {
  '': 1,
  b: 1,
  k: 1024,
  kb: 1000,
  kib: 1024,
  m: 1024 ** 2,
  mb: 1000 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1000 ** 3,
  gib: 1024 ** 3
}

/** Bytes of a size such as `4194304`, `4MiB`, `4M` (powers of 1024) or `4MB` (powers of 1000); `undefined` for others. */
export function readSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text)
  const factor = factors[match?.[2]?.toLowerCase() ?? 'none']
  if (match === null || factor === undefined) return undefined
  const bytes = Number(match[1]) * factor
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Bytes as a size {@link readSize} reads back. */
export function showSize(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB']) {
    const factor = factors[unit.toLowerCase()] ?? 1
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`
  }
  return String(bytes)
}

/** A size, or a percentage of something: `1GiB`, `5%`, `2.5%`. */
export function readSizeOrShare(text: string): number | { share: number } | undefined {
  const percent = /^(\d{1,3}(?:\.\d{1,3})?)\s?%$/.exec(text.trim())?.[1]
  if (percent === undefined) return readSize(text)
  return Number(percent) <= 100 ? { share: Number(percent) / 100 } : undefined
}

export function showSizeOrShare(value: number | { share: number }): string {
  return typeof value === 'number' ? showSize(value) : `${Number((value.share * 100).toFixed(3))}%`
}
