/** Cuts a stream into its length-prefixed messages. */
export class FrameReader {
  readonly #limit: number
  #chunks: Uint8Array[] = []
  #buffered = 0

  /** @param limit Bytes of the longest message; what is buffered never exceeds it and the chunk that came last. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * Messages that the chunk completes.
   *
   * @throws {RangeError} a message longer than the limit
   */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    this.#chunks.push(chunk)
    this.#buffered += chunk.byteLength
    let length = this.#length()
    while (length !== undefined && this.#buffered >= length.end) {
      const bytes = this.#joined()
      this.#chunks = [bytes.subarray(length.end)]
      this.#buffered -= length.end
      yield bytes.subarray(length.start, length.end)
      length = this.#length()
    }
  }

  /** Where the first message starts and ends; `undefined` while its length has not come. */
  #length(): { start: number; end: number } | undefined {
    let value = 0
    for (let at = 0; at < this.#buffered; at++) {
      const byte = this.#byteAt(at)
      value += (byte & 0x7f) * 128 ** at
      if (value > this.#limit || at > 4) throw new RangeError(`a bitswap message of more than ${this.#limit} bytes`)
      if (byte < 0x80) return { start: at + 1, end: at + 1 + value }
    }
    return undefined
  }

  #byteAt(index: number): number {
    let at = index
    for (const chunk of this.#chunks) {
      const byte = chunk[at]
      if (byte !== undefined) return byte
      at -= chunk.byteLength
    }
    throw new RangeError('beyond what is buffered')
  }

  #joined(): Uint8Array {
    const [first] = this.#chunks
    return this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks)
  }
}
