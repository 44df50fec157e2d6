/** Cuts a stream into its length-prefixed messages. */
export class FrameReader {
  readonly #limit: number
  /** What has come of a message that is not whole, at its beginning. */
  #buffer = Buffer.alloc(0)
  #length = 0

  /** @param limit Bytes of the longest message. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Bytes of memory kept for the message that is not whole: at most twice what has come of it, whatever its length. */
  get buffered(): number {
    return this.#buffer.byteLength
  }

  /**
   * Messages that the chunk completes, each a view that is never written again.
   *
   * @throws {RangeError} a message longer than the limit
   */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    const bytes = this.#length === 0 ? chunk : this.#append(chunk)
    let at = 0
    for (;;) {
      const frame = this.#frame(bytes, at)
      if (frame === undefined || frame.end > bytes.byteLength) break
      yield bytes.subarray(frame.start, frame.end)
      at = frame.end
    }
    if (at > 0 || this.#length === 0) this.#keep(bytes.subarray(at))
  }

  /** Where the message at `from` starts and ends; `undefined` while its length has not come. */
  #frame(bytes: Uint8Array, from: number): { start: number; end: number } | undefined {
    let value = 0
    for (let at = from; at < bytes.byteLength; at++) {
      const byte = bytes[at] ?? 0
      value += (byte & 0x7f) * 128 ** (at - from)
      if (value > this.#limit || at - from > 4) {
        throw new RangeError(`a bitswap message of more than ${this.#limit} bytes`)
      }
      if (byte < 0x80) return { start: at + 1, end: at + 1 + value }
    }
    return undefined
  }

  /** Into one buffer, however small the chunks: a list of them would cost a hundred bytes for each. */
  #append(chunk: Uint8Array): Uint8Array {
    const length = this.#length + chunk.byteLength
    if (length > this.#buffer.byteLength) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, this.#length * 2))
      this.#buffer.copy(larger, 0, 0, this.#length)
      this.#buffer = larger
    }
    this.#buffer.set(chunk, this.#length)
    this.#length = length
    return this.#buffer.subarray(0, length)
  }

  /** A copy: a view would hold all that came with it. */
  #keep(rest: Uint8Array): void {
    this.#buffer = Buffer.allocUnsafeSlow(rest.byteLength)
    this.#buffer.set(rest)
    this.#length = rest.byteLength
  }
}
