import { MemoryLevel } from 'memory-level'
import type { BatchOperation, Level } from '../../src/queue/store.ts'

type Batch = BatchOperation[]

/**
 * An in-memory database that can lose its process, which keeps what was written, or its power, which keeps what was synced
 * and as much of the rest as it happens. The handles given out before do nothing more.
 */
export class CrashingLevel {
  #live = new MemoryLevel<string, string>()
  #synced = new MemoryLevel<string, string>()
  #unsynced: Batch[] = []
  #age = 0
  /** Calls under way. */
  busy = 0
  /** Batches that asked for a sync. */
  syncs = 0
  /** Makes the next writes fail. */
  failure: Error | undefined

  /** The database as a process has it open. */
  handle(): Level {
    const age = this.#age
    const live = this.#live
    const alive = <T>(work: () => Promise<T>): Promise<T> => {
      if (age !== this.#age) return new Promise(() => undefined)
      this.busy++
      return work().finally(() => this.busy--)
    }
    return {
      get: key => alive(() => live.get(key)),
      getMany: keys => alive(() => live.getMany(keys)),
      keys: options => ({ all: () => alive(() => live.keys(options).all()) }),
      batch: (operations, { sync }) => alive(() => this.#write(operations, sync))
    }
  }

  /** SIGKILL: everything written is there for the next handle. */
  kill(): void {
    this.#age++
  }

  /** @param kept - part of the unsynced writes that got to the disk by themselves, in [0, 1] */
  async cutPower(kept: number): Promise<void> {
    this.#age++
    const survivors = this.#unsynced.slice(0, Math.round(kept * this.#unsynced.length))
    for (const operations of survivors) await this.#synced.batch(operations)
    this.#unsynced = []
    this.#live = new MemoryLevel<string, string>()
    for await (const [key, value] of this.#synced.iterator()) await this.#live.put(key, value)
  }

  /** Every key there is. */
  keys(): Promise<string[]> {
    return this.#live.keys().all()
  }

  async #write(operations: Batch, sync: boolean): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    if (sync) this.syncs++
    await this.#live.batch(operations)
    this.#unsynced.push(operations)
    if (!sync) return
    const pending = this.#unsynced
    this.#unsynced = []
    for (const each of pending) await this.#synced.batch(each)
  }
}
