import { type AbortOptions, type Precondition, PreconditionFailed } from '../registry/ports.ts'
import { apply, type Change } from './apply.ts'
import type { RecordCache } from './cache.ts'
import type { Database } from './database.ts'
import { Layer } from './layer.ts'
import { failedPreconditions } from './preconditions.ts'
import { View } from './view.ts'

interface Commit {
  changes: readonly Change[]
  preconditions: readonly Precondition[]
  durable: boolean
  signal: AbortSignal | undefined
  resolve: () => void
  reject: (reason: unknown) => void
}

export interface CommitterComponents {
  database: Database
  cache: RecordCache
}

/**
 * The one writer. Commits are taken in order and written in groups: while one group is being synced the next gathers,
 * so many concurrent commits share one sync. Each is judged against the database and all commits before it; one that
 * fails its preconditions is rejected alone.
 */
export class Committer {
  readonly #database: Database
  readonly #cache: RecordCache
  readonly #groupBytes: number
  readonly #queue: Commit[] = []
  #working: Promise<void> | undefined

  /** @param groupBytes a group takes no further commit once it has this many; one commit is never split */
  constructor(components: CommitterComponents, groupBytes: number) {
    this.#database = components.database
    this.#cache = components.cache
    this.#groupBytes = groupBytes
  }

  commit(
    changes: readonly Change[],
    preconditions: readonly Precondition[],
    options: AbortOptions & { durable: boolean }
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const { durable, signal } = options
      this.#queue.push({ changes, preconditions, durable, signal, resolve, reject })
      this.#working ??= this.#work()
    })
  }

  /** Waits for every commit that was made. */
  async idle(): Promise<void> {
    while (this.#working !== undefined) await this.#working
  }

  async #work(): Promise<void> {
    // Whoever commits in the same turn of the event loop belongs to the first group.
    await undefined
    try {
      while (this.#queue.length > 0) await this.#writeGroup()
    } finally {
      // In the same turn as the queue was seen empty, or a commit in between would start nobody.
      this.#working = undefined
    }
  }

  async #writeGroup(): Promise<void> {
    const waiting = this.#queue.length
    try {
      await this.#database.heal()
    } catch (error) {
      for (const commit of this.#queue.splice(0, waiting)) commit.reject(error)
      return
    }
    const group = new Layer()
    const taken: Commit[] = []
    // Only those that wait now: the first must not wait for a stream of later ones to end.
    for (let left = waiting; left > 0 && group.bytes < this.#groupBytes; left--) {
      const commit = this.#queue.shift()
      if (commit !== undefined && (await this.#take(commit, group))) taken.push(commit)
    }
    await this.#write(group, taken)
  }

  /** Whether the commit's changes are in the group now; rejected otherwise. */
  async #take(commit: Commit, group: Layer): Promise<boolean> {
    try {
      commit.signal?.throwIfAborted()
      const layer = new Layer(group)
      const view = new View(this.#database, layer)
      const failed = await failedPreconditions(view, commit.preconditions)
      if (failed.length > 0) throw new PreconditionFailed(failed)
      for (const change of commit.changes) await apply(layer, view, change)
      group.merge(layer)
      return true
    } catch (error) {
      commit.reject(error)
      return false
    }
  }

  async #write(group: Layer, commits: Commit[]): Promise<void> {
    try {
      if (group.changes.size > 0)
        await this.#database.write(
          group.changes,
          commits.some(commit => commit.durable)
        )
    } catch (error) {
      this.#cache.clear()
      for (const commit of commits) commit.reject(error)
      return
    }
    // Before any of them returns, and in the same turn as the write ended: a reader sees each commit that returned.
    for (const key of group.changes.keys()) this.#cache.drop(key)
    for (const commit of commits) commit.resolve()
  }
}
