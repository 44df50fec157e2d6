import type { Digest } from '../../oci/digest.ts'
import { type Hold, holds } from '../ports.ts'

/** Bytes that all entries together may take. */
const defaultBudget = 64 * 1024 * 1024
/** What an entry takes beside its text, bytes. */
const overhead = 64

/**
 * What one run of garbage collection has decided about manifests and holdings of repositories that are still in the
 * metadata: in a dry run those that would be gone, always those that are only spared. What is not in it counts as firmly
 * kept, so that a full one makes a run find less, never more.
 */
export class Ledger {
  readonly #manifests = new Map<string, Hold>()
  readonly #holders = new Map<string, Hold>()
  readonly #budget: number
  #used = 0
  #full = false

  /** @param budget bytes; default 64 MiB */
  constructor(budget = defaultBudget) {
    this.#budget = budget
  }

  /** Whether something was not taken for want of room. */
  get full(): boolean {
    return this.#full
  }

  /** How firmly the repository's manifest keeps what it names. */
  manifest(repository: string, digest: Digest): Hold {
    return this.#manifests.get(`${repository}\0${digest}`) ?? holds.firm
  }

  hasManifest(repository: string, digest: Digest): boolean {
    return this.#manifests.has(`${repository}\0${digest}`)
  }

  setManifest(repository: string, digest: Digest, hold: Hold): void {
    this.#set(this.#manifests, `${repository}\0${digest}`, hold)
  }

  /** How firmly the repository holds the digest, as a blob or as a manifest. */
  holder(repository: string, digest: Digest): Hold {
    return this.#holders.get(`${repository}\0${digest}`) ?? holds.firm
  }

  setHolder(repository: string, digest: Digest, hold: Hold): void {
    this.#set(this.#holders, `${repository}\0${digest}`, hold)
  }

  #set(map: Map<string, Hold>, key: string, hold: Hold): void {
    const cost = key.length + overhead
    if (!map.has(key)) {
      if (this.#used + cost > this.#budget) {
        this.#full = true
        return
      }
      this.#used += cost
    }
    map.set(key, hold)
  }
}
