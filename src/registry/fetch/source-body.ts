import { late, within } from './within.ts'

/** ms of a source's bytes that are staged before clients may read them; the first batch of a source is shorter. */
const batchMs = 200
const firstBatchMs = 25
/** Bytes after which a batch ends sooner. */
const batchBytes = 16 << 20

/** A source stopped sending without saying so. */
export class SourceStalled extends Error {
  override readonly name = 'SourceStalled'
}

export interface SourceBodyInit {
  /** Bytes to take at most. */
  limit: number
  /** ms to wait for the next bytes. */
  stallMs: number
  /** Ends everything; what was taken stays. */
  signal: AbortSignal
  /** Told of bytes before they are taken. What it throws is remembered as the source's failure, and they are not taken. */
  count?(bytes: number): void
}

/**
 * One source's bytes cut into batches, each an append of its own: when that returns, its bytes are in the staged file and
 * clients may have them. A failing source ends its batch and is remembered; it throws nothing, so whatever an append
 * throws is the storage's.
 */
export class SourceBody {
  /** `full`: the limit is reached, whatever else the source has. */
  state: 'flowing' | 'ended' | 'full' | 'failed'
  failure: unknown
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #init: SourceBodyInit
  #pending: Promise<IteratorResult<Uint8Array>> | undefined
  /** Since when, by `performance.now()`, the source owes bytes. */
  #owing = 0
  #taken = 0
  #batches = 0
  #excess = false

  constructor(bytes: AsyncIterable<Uint8Array>, init: SourceBodyInit) {
    this.#iterator = bytes[Symbol.asyncIterator]()
    this.#init = init
    this.state = init.limit === 0 ? 'full' : 'flowing'
  }

  /** The bytes that arrive within a short while of the first of them. */
  async *batch(): AsyncGenerator<Uint8Array, void, undefined> {
    const duration = this.#batches++ === 0 ? firstBatchMs : batchMs
    let until = Number.POSITIVE_INFINITY
    for (let bytes = 0; this.state === 'flowing' && bytes < batchBytes; ) {
      const chunk = await this.#next(until)
      if (chunk === undefined) return
      const part = chunk.subarray(0, this.#init.limit - this.#taken)
      this.#excess = part.length < chunk.length
      if (!this.#count(part.length)) return
      this.#taken += part.length
      bytes += part.length
      until = Math.min(until, performance.now() + duration)
      yield part
      if (this.#taken === this.#init.limit) this.state = 'full'
    }
  }

  /** After `full`: whether the source has more, as far as it says so in time. */
  async hasMore(): Promise<boolean> {
    if (this.#excess) return true
    return (await this.#next(Number.POSITIVE_INFINITY)) !== undefined
  }

  /** Not awaited: a source that hangs must keep nobody. */
  close(): void {
    this.#pending?.catch(() => undefined)
    this.#iterator.return?.()?.catch(() => undefined)
  }

  #count(bytes: number): boolean {
    try {
      this.#init.count?.(bytes)
    } catch (error) {
      this.#fail(error)
    }
    return this.state === 'flowing'
  }

  /** The next bytes; `undefined` when there are none, now or by `until`. */
  async #next(until: number): Promise<Uint8Array | undefined> {
    const { stallMs, signal } = this.#init
    // Time that the last chunk took to be written is not the source's.
    if (this.#pending === undefined) this.#owing = performance.now()
    try {
      for (;;) {
        this.#pending ??= this.#iterator.next()
        const now = performance.now()
        const result = await within(this.#pending, Math.min(until, this.#owing + stallMs) - now, signal)
        if (result === late) return this.#late(until)
        this.#pending = undefined
        if (result.done === true) return this.#end()
        if (result.value.length > 0) return result.value
        // Nothing, however often, is still nothing.
        if (performance.now() - this.#owing >= stallMs) return this.#late(until)
      }
    } catch (error) {
      return this.#fail(error)
    }
  }

  /** A timer may come a little early; whoever asks again then finds out. */
  #late(until: number): undefined {
    const { stallMs } = this.#init
    if (until === Number.POSITIVE_INFINITY || performance.now() - this.#owing >= stallMs)
      this.#fail(new SourceStalled(`no bytes for ${stallMs} ms`))
  }

  #end(): undefined {
    if (this.state === 'flowing') this.state = 'ended'
  }

  #fail(error: unknown): undefined {
    this.failure = error
    this.state = 'failed'
  }
}
