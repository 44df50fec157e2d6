import type { Digest } from '../../oci/digest.ts'
import type { RegistryComponents } from '../components.ts'

/** ms after the last commit of a burst. */
const quiet = 2_000
/** Blobs that may wait at most; more are settled at once. */
const crowd = 1_000

/**
 * Syncs the folders that blobs were renamed into and drops the note of where their staged files were. None of it is
 * needed for durability (the note is durable), only so that the next start has little to check; hence off the push path,
 * one folder sync for all blobs of a burst that share it.
 */
export class Settler {
  readonly #components: Pick<RegistryComponents, 'metadata' | 'files' | 'log'>
  readonly #waiting = new Set<Digest>()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #closed = false

  constructor(components: Pick<RegistryComponents, 'metadata' | 'files' | 'log'>) {
    this.#components = components
  }

  add(digest: Digest): void {
    if (this.#closed) return
    this.#waiting.add(digest)
    clearTimeout(this.#timer)
    if (this.#waiting.size >= crowd) {
      this.#run()
    } else {
      this.#timer = setTimeout(() => this.#run(), quiet)
      this.#timer.unref()
    }
  }

  /** Settles what waits and stops. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#run()
    await this.#running
  }

  #run(): void {
    const batch = [...this.#waiting]
    this.#waiting.clear()
    this.#running = this.#running.then(() => this.#settle(batch))
  }

  async #settle(batch: Digest[]): Promise<void> {
    const { metadata, files, log } = this.#components
    // Sorted, blobs of one folder stand together: the adapter shares their sync.
    const shards = Map.groupBy(batch.sort(), digest => digest.slice(0, digest.indexOf(':') + 3))
    for (const digests of shards.values()) {
      try {
        const [first] = digests
        if (first !== undefined) await files.syncPlace(first)
        for (const digest of digests) await metadata.placed(digest)
      } catch (error) {
        // Left noted: the next start does it again.
        log.warn({ err: error }, 'could not sync a blob folder; it will be checked at the next start')
      }
    }
  }
}
