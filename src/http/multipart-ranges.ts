import { randomBytes } from 'node:crypto'
import type { Span } from '../oci/range.ts'
import type { BlobBody } from './pump-blob.ts'

/** Bytes of small parts and their headers that are written together. */
const gathered = 64 * 1024
/** Chunks of more bytes are written without being copied. */
const copied = 8 * 1024

/** Several ranges of a representation as one `multipart/byteranges` body (RFC 9110, section 14.6), a part for each. */
export class MultipartRanges {
  readonly #spans: readonly Span[]
  readonly #size: number
  readonly #partType: string
  /** Random, because nobody may choose content that holds it. */
  readonly #boundary = randomBytes(24).toString('hex')

  /**
   * @param size bytes of the whole representation
   * @param partType media type of the representation
   */
  constructor(spans: readonly Span[], size: number, partType: string) {
    this.#spans = spans
    this.#size = size
    this.#partType = partType
  }

  /** `Content-Type` of the response. */
  get contentType(): string {
    return `multipart/byteranges; boundary=${this.#boundary}`
  }

  /** @param chunks of the spans in order, none with bytes of two */
  body(chunks: AsyncIterable<Uint8Array>): BlobBody {
    let length = this.#end.length
    for (const [index, { start, end }] of this.#spans.entries()) length += this.#head(index).length + end - start
    return { chunks: this.#frame(chunks), length }
  }

  async *#frame(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const buffer = Buffer.allocUnsafe(gathered)
    let filled = 0
    let index = -1
    let left = 0
    for await (const chunk of chunks) {
      const head = left === 0 ? this.#head(++index) : ''
      if (left === 0) left = lengthOf(this.#spans[index])
      left -= chunk.length
      const small = chunk.length <= copied
      if (filled > 0 && filled + head.length + (small ? chunk.length : 0) > gathered) {
        yield buffer.subarray(0, filled)
        filled = 0
      }
      filled += buffer.write(head, filled, 'latin1')
      if (small) {
        buffer.set(chunk, filled)
        filled += chunk.length
        continue
      }
      if (filled > 0) yield buffer.subarray(0, filled)
      filled = 0
      yield chunk
    }
    if (filled > 0) yield buffer.subarray(0, filled)
    yield Buffer.from(this.#end, 'latin1')
  }

  #head(index: number): string {
    const { start, end } = this.#spans[index] ?? { start: 0, end: 0 }
    const range = `bytes ${start}-${end - 1}/${this.#size}`
    return `${index === 0 ? '' : '\r\n'}--${this.#boundary}\r\nContent-Type: ${this.#partType}\r\nContent-Range: ${range}\r\n\r\n`
  }

  get #end(): string {
    return `\r\n--${this.#boundary}--\r\n`
  }
}

function lengthOf(span: Span | undefined): number {
  return span === undefined ? 0 : span.end - span.start
}
