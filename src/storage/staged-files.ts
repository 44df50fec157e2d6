import type { StagedFile } from './staged-file.ts'

interface Entry {
  opening: Promise<StagedFile>
  users: number
}

/**
 * The staged files that are open: those in use and a bounded number of idle ones, least recently used out first. What an
 * idle one saves the next request is the running hash.
 */
export class StagedFiles {
  readonly #idleLimit: number
  readonly #entries = new Map<string, Entry>()
  readonly #closing = new Set<Promise<void>>()
  #idle = 0

  constructor(idleLimit: number) {
    this.#idleLimit = idleLimit
  }

  /** A file just created, not in use yet. */
  add(id: string, file: StagedFile): void {
    this.forget(id)
    const entry: Entry = { opening: Promise.resolve(file), users: 1 }
    this.#entries.set(id, entry)
    this.#release(id, entry)
  }

  /** Runs `task` with the session's file, which `open` opens when it is not open yet. */
  async use<Result>(
    id: string,
    open: () => Promise<StagedFile>,
    task: (file: StagedFile) => Promise<Result>
  ): Promise<Result> {
    const entry = this.#take(id, open)
    try {
      return await task(await entry.opening)
    } finally {
      this.#release(id, entry)
    }
  }

  /** Closes the session's file, if it is open, once whoever uses it is done with the handle. */
  forget(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    if (entry.users === 0) this.#idle--
    this.#close(entry)
  }

  async close(): Promise<void> {
    for (const id of [...this.#entries.keys()]) this.forget(id)
    await Promise.all(this.#closing)
  }

  #take(id: string, open: () => Promise<StagedFile>): Entry {
    const found = this.#entries.get(id)
    if (found !== undefined) {
      if (found.users++ === 0) this.#idle--
      // Last in the order of eviction.
      this.#entries.delete(id)
      this.#entries.set(id, found)
      return found
    }
    const entry: Entry = { opening: open(), users: 1 }
    this.#entries.set(id, entry)
    entry.opening.catch(() => {
      if (this.#entries.get(id) === entry) this.#entries.delete(id)
    })
    return entry
  }

  #release(id: string, entry: Entry): void {
    if (--entry.users > 0 || this.#entries.get(id) !== entry) return
    this.#idle++
    if (this.#idle > this.#idleLimit) void this.#evict()
  }

  async #evict(): Promise<void> {
    for (const [id, entry] of this.#entries) {
      if (entry.users > 0) continue
      const file = await entry.opening
      // A damaged file is remembered until the session ends: reopened it would look sound.
      if (file.damaged || entry.users > 0 || this.#entries.get(id) !== entry) continue
      this.forget(id)
      if (this.#idle <= this.#idleLimit) return
    }
  }

  #close(entry: Entry): void {
    const closing = entry.opening
      .then(file => file.close())
      // Nothing is lost with the handle: what has to be durable was synced before, and said if it failed.
      .catch(() => {})
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }
}
