/** Inclusive start, exclusive end, bytes. */
export interface Span {
  start: number
  end: number
}

/** Ranges of one request that are answered one by one, as many as podman asks for at once; of more, the whole is sent. */
export const maxRanges = 1024

/**
 * A `Range` request header (RFC 9110, section 14) against a representation of `size` bytes: what to send, in the order
 * asked. Ranges that lie outside are dropped.
 *
 * `'whole'` when there is nothing to honour: no header, another unit, a malformed one, more than {@link maxRanges}, or
 * ranges that overlap and so ask for more bytes than there are (section 14.2 and 17.15). `'unsatisfiable'` asks for a 416,
 * as does a range that ends before it starts: section 14.2 lets a server reject that one, and the conformance suite
 * wants it.
 */
export function parseRanges(header: string | undefined, size: number): [Span, ...Span[]] | 'whole' | 'unsatisfiable' {
  if (header === undefined || !/^bytes=/i.test(header)) return 'whole'
  const spans: Span[] = []
  let count = 0
  let reversed = false
  for (const spec of header.slice('bytes='.length).split(',')) {
    const bare = spec.replace(/^[ \t]+|[ \t]+$/g, '')
    // An empty element of a list is none (RFC 9110, section 5.6.1).
    if (bare === '') continue
    if (++count > maxRanges) return 'whole'
    const span = parseSpec(bare, size)
    if (span === undefined) return 'whole'
    if (span === 'reversed') reversed = true
    else if (span !== 'outside') spans.push(span)
  }
  if (count === 0) return 'whole'
  const [first, ...others] = spans
  if (first === undefined || reversed) return 'unsatisfiable'
  return overlap(spans) ? 'whole' : [first, ...others]
}

/** One `int-range` or `suffix-range`; `undefined` when it is neither. */
function parseSpec(spec: string, size: number): Span | 'outside' | 'reversed' | undefined {
  const match = /^(\d{0,20})-(\d{0,20})$/.exec(spec)
  if (match === null) return undefined
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return undefined
  if (first === '') {
    const length = Number(last)
    return length === 0 || size === 0 ? 'outside' : { start: Math.max(0, size - length), end: size }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return 'reversed'
  if (start >= size) return 'outside'
  return { start, end: last === '' ? size : Math.min(Number(last) + 1, size) }
}

function overlap(spans: readonly Span[]): boolean {
  const sorted = spans.toSorted((a, b) => a.start - b.start)
  return sorted.some(({ start }, at) => start < (sorted[at - 1]?.end ?? 0))
}

/**
 * `Content-Range` of an upload chunk (end-5): `<first>-<last>`, both inclusive. The RFC's form `bytes <first>-<last>/<size>`
 * is understood too. `undefined` when malformed.
 */
export function parseContentRange(header: string): Span | undefined {
  const match = /^(?:bytes[ \t=]+)?(\d{1,16})-(\d{1,16})(?:\/(?:\d{1,16}|\*))?$/i.exec(header.trim())
  if (match === null) return undefined
  const start = Number(match[1])
  const last = Number(match[2])
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(last) || last < start) return undefined
  return { start, end: last + 1 }
}
