/**
 * The error of `interface-store` for a block that is not there; Helia and bitswap know it by its name alone. A block
 * that exists but is private, or whose bytes have rotted in every home, is not there either.
 */
export class BlockNotFoundError extends Error {
  override readonly name = 'NotFoundError'

  constructor(cid: { toString(): string }) {
    super(`block ${cid.toString()} not found`)
  }
}
