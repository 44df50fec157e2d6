import { mkdir, open, readdir, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Level as LevelDb } from 'level'
import type { DatabaseComponents } from './database.ts'
import { LevelMetadata, type LevelMetadataInit } from './store.ts'

/**
 * LevelDB starts a fresh log when its memtable has this many bytes. Opening replays at most two of them, which keeps
 * a start far below half a second.
 */
const WRITE_BUFFER = 4 * 1024 * 1024
/** Upper bound of what the memtable needs for an entry beside key and value. Bytes. */
const ENTRY_OVERHEAD = 128

/** Another process has the database open. */
export class MetadataLocked extends Error {
  override readonly name = 'MetadataLocked'
}

export interface OpenMetadataInit extends LevelMetadataInit {
  /** LevelDB's cache of uncompressed table blocks. Bytes, default 8 MiB. */
  blockCacheBytes?: number
}

/**
 * Opens the metadata in a folder of its own, made when missing (its parent too).
 *
 * @throws {MetadataLocked} when another process holds it
 * @throws {SchemaUnsupported} when a newer Pinnace wrote it
 * @throws {RegistryError} STORAGE_FULL
 */
export async function openMetadata(folder: string, init: OpenMetadataInit = {}): Promise<LevelMetadata> {
  const { blockCacheBytes = 8 * 1024 * 1024, ...rest } = init
  await mkdir(folder, { recursive: true })
  await syncFolder(dirname(folder))
  const level = new LevelDb<string, string>(folder, {
    createIfMissing: true,
    cacheSize: blockCacheBytes,
    writeBufferSize: WRITE_BUFFER,
    maxOpenFiles: 512
  })
  const metadata = new LevelMetadata(
    { level, room: () => roomBeside(folder), written: new LogRotation(folder).written },
    rest
  )
  try {
    await metadata.open()
  } catch (error) {
    if (!isLocked(error)) throw error
    throw new MetadataLocked(`the metadata in ${folder} is in use by another process`, { cause: error })
  }
  return metadata
}

function isLocked(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ('code' in current && current.code === 'LEVEL_LOCKED') return true
  }
  return false
}

/** Opening writes what the logs hold into tables before it removes them. */
async function roomBeside(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  let needed = 0
  for (const log of await logsIn(folder)) needed += (await stat(join(folder, log))).size
  return bavail * bsize - needed
}

async function logsIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter(name => name.endsWith('.log'))
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * LevelDB syncs the bytes of its log but not the folder entry of a fresh one, so POSIX would allow a power cut to take
 * the whole log with acknowledged commits. A fresh log is looked for only when the memtable may have been full.
 */
class LogRotation {
  readonly #folder: string
  #memtable = 0
  #newest: number | undefined

  constructor(folder: string) {
    this.#folder = folder
  }

  readonly written: NonNullable<DatabaseComponents['written']> = async ({ bytes, changes, durable }) => {
    this.#memtable += bytes + changes * ENTRY_OVERHEAD
    if (!durable) return
    // Half, since the memtable's arena wastes up to a quarter of its blocks.
    if (this.#newest !== undefined && this.#memtable < WRITE_BUFFER / 2) return
    const newest = Math.max(...(await logsIn(this.#folder)).map(name => Number.parseInt(name, 10)))
    if (newest === this.#newest) return
    await syncFolder(this.#folder)
    this.#newest = newest
    this.#memtable = bytes + changes * ENTRY_OVERHEAD
  }
}
