import { createCipheriv, createHash } from 'node:crypto'

/** Bytes of a piece; a leaf of ours, so that no two leaves of a run are the same. */
const pieceSize = 1 << 20
/** Bytes at the start of a piece that are its own. Also the longest chunk that is written at once as docker does. */
const ownSize = 32 << 10
/** Pieces of random bytes that the rest is taken from: past any second-level cache, small beside a third-level one. */
const basePieces = 16

let base: Buffer | undefined

/** Incompressible and the same in every run; the key is no secret. */
function randomBase(): Buffer {
  base ??= createCipheriv('aes-128-ctr', Buffer.alloc(16, 0x5a), Buffer.alloc(16)).update(
    Buffer.alloc(basePieces * pieceSize)
  )
  return base
}

/** Bytes of a blob: a pure function of seed and size, made while they are sent, so that no blob has to fit in memory. */
export class Content {
  readonly seed: string
  /** Bytes. */
  readonly size: number
  #digest: string | undefined

  constructor(seed: string, size: number) {
    this.seed = seed
    this.size = size
  }

  /** `sha256:…`; computed once. */
  get digest(): string {
    if (this.#digest === undefined) {
      const hash = createHash('sha256')
      for (const bytes of this.buffers()) hash.update(bytes)
      this.#digest = `sha256:${hash.digest('hex')}`
    }
    return this.#digest
  }

  /** In order; none is changed after it was given, so a socket may hold several. */
  *buffers(): Generator<Buffer, void, undefined> {
    const random = randomBase()
    for (let start = 0, index = 0; start < this.size; start += pieceSize, index++) {
      const at = (index % basePieces) * pieceSize
      const piece = random.subarray(at, at + Math.min(pieceSize, this.size - start))
      const own = Buffer.from(piece.subarray(0, ownSize))
      createHash('sha256').update(`${this.seed}/${index}`).digest().copy(own)
      yield own
      if (piece.length > ownSize) yield piece.subarray(ownSize)
    }
  }
}
