import { createHash, type Hash, hash } from 'node:crypto'
import { type DigestAlgorithm, finishDigest } from '../oci/digest.ts'
import type { StagedContent } from '../registry/ports.ts'

/** Bytes of a leaf: the chunk size of Kubo's `unixfs-v1-2025` profile. */
export const leafSize = 1 << 20

const leafDigestLength = 32

/** What {@link RunningHash.rewind} goes back to. Leaves that were complete then are kept where they are. */
interface Mark {
  whole: Hash
  leaf: Hash | undefined
  complete: number
  size: number
}

/**
 * One pass over content that gives its digest and the sha256 of each 1 MiB leaf. How the bytes are cut into updates
 * makes no difference. Under sha256 the first leaf costs nothing: it is the state of the whole after 1 MiB.
 */
export class RunningHash {
  readonly algorithm: DigestAlgorithm
  #whole: Hash
  #leaf: Hash | undefined
  #leaves = Buffer.alloc(leafDigestLength * 32)
  #complete = 0
  #size = 0
  #mark: Mark | undefined

  constructor(algorithm: DigestAlgorithm) {
    this.algorithm = algorithm
    this.#whole = createHash(algorithm)
  }

  /** Bytes hashed so far. */
  get size(): number {
    return this.#size
  }

  /** Remembers this point for {@link rewind}, in place of the one before. */
  mark(): void {
    const { size } = this
    this.#mark =
      size === 0 ? undefined : { whole: this.#whole.copy(), leaf: this.#leaf?.copy(), complete: this.#complete, size }
  }

  /** Forgets what was hashed since the last {@link mark}, or all of it when there was none. The mark stays. */
  rewind(): void {
    const mark = this.#mark
    this.#whole = mark === undefined ? createHash(this.algorithm) : mark.whole.copy()
    this.#leaf = mark?.leaf?.copy()
    this.#complete = mark?.complete ?? 0
    this.#size = mark?.size ?? 0
  }

  update(bytes: Uint8Array): void {
    for (let start = 0; start < bytes.length; ) {
      const room = leafSize - (this.#size % leafSize)
      const end = Math.min(bytes.length, start + room)
      this.#updateLeaf(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))
      start = end
    }
  }

  /** What was hashed so far; more may follow. */
  content(): StagedContent {
    const partial = this.#size === 0 || this.#size % leafSize !== 0
    const leaves = new Uint8Array(leafDigestLength * (this.#complete + (partial ? 1 : 0)))
    leaves.set(this.#leaves.subarray(0, leafDigestLength * this.#complete))
    if (partial) leaves.set(this.#runningLeaf(), leafDigestLength * this.#complete)
    return { size: this.#size, digest: finishDigest(this.#whole.copy(), this.algorithm), leaves }
  }

  /** `bytes` end at or before the end of the current leaf. */
  #updateLeaf(bytes: Uint8Array): void {
    this.#whole.update(bytes)
    const first = this.#size < leafSize && this.algorithm === 'sha256'
    const entire = bytes.length === leafSize
    if (!first && !entire) {
      this.#leaf ??= createHash('sha256')
      this.#leaf.update(bytes)
    }
    this.#size += bytes.length
    if (this.#size % leafSize === 0)
      this.#push(!first && entire ? hash('sha256', bytes, 'buffer') : this.#runningLeaf())
    if (this.#size % leafSize === 0) this.#leaf = undefined
  }

  #runningLeaf(): Buffer {
    if (this.algorithm === 'sha256' && this.#complete === 0) return this.#whole.copy().digest()
    return (this.#leaf?.copy() ?? createHash('sha256')).digest()
  }

  #push(digest: Buffer): void {
    const at = leafDigestLength * this.#complete
    if (at === this.#leaves.length) this.#leaves = Buffer.concat([this.#leaves, Buffer.alloc(at)])
    this.#leaves.set(digest, at)
    this.#complete++
  }
}
