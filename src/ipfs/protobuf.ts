/** What UnixFS and bitswap messages need of protobuf: varints of any safe integer, and bytes. */
const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/** A field of a message: a number for a varint, bytes for everything that has a length. */
export interface Field {
  number: number
  value: number | Uint8Array
}

/** Any non-negative safe integer: bit operations would end at 2^31. */
export function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  bytes.push(rest)
  return bytes
}

export function varintField(number: number, value: number): number[] {
  return [(number << 3) | wire.varint, ...varint(value)]
}

/** Tag and length of a field of bytes; the bytes follow. */
export function bytesHeader(number: number, length: number): number[] {
  return [(number << 3) | wire.bytes, ...varint(length)]
}

/**
 * Fields of a message in the order they were written; fixed-size ones are passed over, nobody here uses them. Bytes are
 * views of the message.
 *
 * @throws {RangeError} not a protobuf message, or a number beyond the safe integers
 */
export function* fieldsOf(message: Uint8Array): Generator<Field> {
  let at = 0
  while (at < message.byteLength) {
    const tag = readVarint(message, at)
    at = tag.end
    const number = Math.floor(tag.value / 8)
    const type = tag.value % 8
    if (type === wire.fixed32 || type === wire.fixed64) {
      at += type === wire.fixed32 ? 4 : 8
      continue
    }
    if (type !== wire.varint && type !== wire.bytes) throw new RangeError(`unknown protobuf wire type ${type}`)
    const { value, end } = readVarint(message, at)
    at = end
    if (type === wire.varint) {
      yield { number, value }
    } else {
      if (at + value > message.byteLength) throw new RangeError('truncated protobuf message')
      yield { number, value: message.subarray(at, at + value) }
      at += value
    }
  }
}

function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } {
  let value = 0
  let scale = 1
  for (let at = start; ; at++, scale *= 128) {
    const byte = bytes[at]
    if (byte === undefined) throw new RangeError('truncated protobuf message')
    // Negative int32 and int64 come as ten bytes; no field read here may be negative, so their value does not matter.
    if (at - start > 9) throw new RangeError('malformed varint')
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return { value, end: at + 1 }
  }
}
