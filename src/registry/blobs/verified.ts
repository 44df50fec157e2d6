import type { Digest } from '../../oci/digest.ts'

/** Entries kept; about 200 bytes each. */
const capacity = 65_536

/**
 * Which blobs' files are known to hash, and in which state of the file (invariant 1). Forgotten at restart: then the
 * first read hashes again.
 */
export class VerifiedBlobs {
  readonly #identities = new Map<Digest, string>()

  has(digest: Digest, identity: string): boolean {
    return this.#identities.get(digest) === identity
  }

  add(digest: Digest, identity: string): void {
    this.#identities.delete(digest)
    this.#identities.set(digest, identity)
    if (this.#identities.size > capacity) {
      for (const oldest of this.#identities.keys()) {
        this.#identities.delete(oldest)
        break
      }
    }
  }

  delete(digest: Digest): void {
    this.#identities.delete(digest)
  }
}
