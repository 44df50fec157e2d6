import type { DigestAlgorithm } from '../oci/digest.ts'
import type { AbortOptions, StagedContent } from '../registry/ports.ts'
import type { HashPool, HashStream } from './hash-pool.ts'
import type { Slot } from './ring.ts'
import { leafSize, RunningHash } from './running-hash.ts'

/**
 * The running hash of one upload session. Up to 1 MiB it lives on the main thread, where one pass costs less than a
 * worker's answer; content that turns out longer moves to a worker, which reads the little there was from the file.
 */
export class StagedHash {
  readonly algorithm: DigestAlgorithm
  readonly #pool: HashPool
  readonly #path: string
  #small: RunningHash | undefined
  #stream: HashStream | undefined
  /** Bytes at the last {@link mark}. */
  #marked = 0

  constructor(pool: HashPool, path: string, algorithm: DigestAlgorithm) {
    this.#pool = pool
    this.#path = path
    this.algorithm = algorithm
    this.#small = new RunningHash(algorithm)
  }

  /** Bytes hashed or on their way to the worker. */
  get size(): number {
    return this.#small?.size ?? this.#stream?.size ?? 0
  }

  /** False after {@link drop} or the death of the worker. */
  get alive(): boolean {
    return this.#small !== undefined || this.#stream?.alive === true
  }

  /** Remembers this point for {@link rewind}, in place of the one before. A new hash is marked at its start. */
  mark(): void {
    if (this.#marked === this.size) return
    this.#marked = this.size
    this.#small?.mark()
    this.#stream?.mark()
  }

  /** Forgets what was hashed after the first `size` bytes; `false` where that point was not marked. */
  rewind(size: number): boolean {
    if (size === this.size && this.alive) return true
    if (size !== 0 && size !== this.#marked) return false
    if (size === 0) this.#restart()
    this.#small?.rewind()
    this.#stream?.rewind()
    return true
  }

  /**
   * Hashes the first `length` bytes of a slot and calls `done` when it is no longer looked at.
   *
   * @param more - more content is at hand already
   */
  update(slot: Slot, length: number, more: boolean, done: () => void): void {
    if (this.#small !== undefined && !more && this.#small.size + length <= leafSize) {
      this.#small.update(slot.bytes.subarray(0, length))
      done()
      return
    }
    if (this.#small !== undefined) {
      const { size } = this.#small
      const prefix = size === 0 ? undefined : { path: this.#path, length: size, mark: this.#marked }
      this.#stream = this.#pool.open(this.algorithm, prefix)
      this.#small = undefined
    }
    if (this.#stream === undefined) done()
    else this.#stream.update(slot, length, done)
  }

  /** `undefined` when the running hash is lost. */
  async content(options?: AbortOptions): Promise<StagedContent | undefined> {
    if (this.#small !== undefined) return this.#small.content()
    const stream = this.#stream
    if (stream?.alive !== true) return undefined
    try {
      return await stream.content(options)
    } catch (error) {
      options?.signal?.throwIfAborted()
      // The worker died while it was asked.
      if (!stream.alive) return undefined
      throw error
    }
  }

  /** Not in the worker: what is sent again may be small. */
  #restart(): void {
    this.drop()
    this.#small = new RunningHash(this.algorithm)
    this.#marked = 0
  }

  drop(): void {
    this.#small = undefined
    this.#stream?.drop()
    this.#stream = undefined
  }
}
