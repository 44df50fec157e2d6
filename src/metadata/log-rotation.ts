import { open, readdir } from 'node:fs/promises'
import type { Written } from './database.ts'

/** Upper bound of what the memtable needs for an entry beside key and value. Bytes. */
const ENTRY_OVERHEAD = 128

/**
 * LevelDB syncs the bytes of its log but not the folder entry of a fresh one, so POSIX would allow a power cut to take
 * the whole log with acknowledged commits. A fresh log is looked for only when the memtable may have been full.
 */
export class LogRotation {
  readonly #folder: string
  readonly #writeBuffer: number
  readonly #sync: (folder: string) => Promise<void>
  #memtable = 0
  #newest: number | undefined

  /** @param writeBuffer bytes of memtable at which LevelDB starts a fresh log */
  constructor(folder: string, writeBuffer: number, sync = syncFolder) {
    this.#folder = folder
    this.#writeBuffer = writeBuffer
    this.#sync = sync
  }

  async written({ bytes, changes, durable }: Written): Promise<void> {
    this.#memtable += bytes + changes * ENTRY_OVERHEAD
    if (!durable) return
    // Half, since the memtable's arena wastes up to a quarter of its blocks.
    if (this.#newest !== undefined && this.#memtable < this.#writeBuffer / 2) return
    const newest = Math.max(...(await logsIn(this.#folder)).map(name => Number.parseInt(name, 10)))
    if (newest === this.#newest) return
    await this.#sync(this.#folder)
    this.#newest = newest
    this.#memtable = bytes + changes * ENTRY_OVERHEAD
  }
}

/** Names of LevelDB's write-ahead logs. */
export async function logsIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter(name => name.endsWith('.log'))
}

/** Makes what was created, renamed and removed in a folder survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
