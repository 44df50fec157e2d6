/** Inclusive start, exclusive end, bytes. */
export interface Span {
  start: number
  end: number
}

/**
 * A `Range` request header (RFC 9110, section 14) against a representation of `size` bytes.
 *
 * `'whole'` when there is nothing to honour: no header, another unit, a malformed one, or several ranges (which a server
 * may answer with the whole). `'unsatisfiable'` asks for a 416, as does a range that ends before it starts: section 14.2
 * lets a server reject that one, and the conformance suite wants it.
 */
export function parseRange(header: string | undefined, size: number): Span | 'whole' | 'unsatisfiable' {
  if (header === undefined) return 'whole'
  const match = /^bytes=[ \t]*(\d{0,20})-(\d{0,20})[ \t]*$/i.exec(header)
  if (match === null) return 'whole'
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return 'whole'
  if (first === '') return suffix(Number(last), size)
  const start = Number(first)
  if (last !== '' && Number(last) < start) return 'unsatisfiable'
  if (start >= size) return 'unsatisfiable'
  return { start, end: last === '' ? size : Math.min(Number(last) + 1, size) }
}

function suffix(length: number, size: number): Span | 'unsatisfiable' {
  if (length === 0 || size === 0) return 'unsatisfiable'
  return { start: Math.max(0, size - length), end: size }
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
