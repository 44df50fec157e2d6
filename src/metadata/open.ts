import { readFile, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Level as LevelDb } from 'level'
import { createLevelFolder } from './create-folder.ts'
import { LogRotation, logsIn } from './log-rotation.ts'
import { LevelMetadata, type LevelMetadataInit } from './store.ts'
import { explainOpening } from './unusable.ts'

/**
 * LevelDB starts a fresh log when its memtable has this many bytes. Opening replays at most two of them, which keeps
 * a start far below half a second.
 */
const WRITE_BUFFER = 4 * 1024 * 1024

/** Another process has the database open. */
export class MetadataLocked extends Error {
  override readonly name = 'MetadataLocked'
}

/**
 * Bytes that must be free beside the size of the logs before a database that failed is closed and opened again: a
 * compaction may still be writing tables, and one that cannot be opened cannot be read either. At most an eighth of the
 * disk, for small ones.
 */
const REOPEN_MARGIN = 32 * 1024 * 1024

export interface OpenMetadataInit extends LevelMetadataInit {
  /** LevelDB's cache of uncompressed table blocks. Bytes, default 8 MiB. */
  blockCacheBytes?: number
  /** Told when LevelDB passed over damaged records of its log: what was written last may be missing. */
  onDropped?: (sentence: string) => void
}

/**
 * Opens the metadata in a folder of its own, made when missing (its parent too).
 *
 * @throws {MetadataLocked} when another process holds it
 * @throws {MetadataUnusable} when it is damaged, or not ours to read and write
 * @throws {SchemaUnsupported} when a newer Pinnace wrote it
 * @throws {RegistryError} STORAGE_FULL
 */
export async function openMetadata(folder: string, init: OpenMetadataInit = {}): Promise<LevelMetadata> {
  const { blockCacheBytes = 8 * 1024 * 1024, onDropped, ...rest } = init
  await createLevelFolder(folder)
  const level = new LevelDb<string, string>(folder, {
    // A database that is not there any more is lost; a new one in its place would hide that.
    createIfMissing: false,
    cacheSize: blockCacheBytes,
    writeBufferSize: WRITE_BUFFER,
    maxOpenFiles: 512
  })
  const rotation = new LogRotation(folder, WRITE_BUFFER)
  const metadata = new LevelMetadata(
    { level, folder, room: () => roomBeside(folder), written: write => rotation.written(write) },
    rest
  )
  try {
    await metadata.open()
  } catch (error) {
    if (!isLocked(error)) throw explainOpening(folder, error)
    throw new MetadataLocked(`the metadata in ${folder} is in use by another process`, { cause: error })
  }
  if (onDropped !== undefined) await reportDropped(folder, onDropped)
  return metadata
}

/** LevelDB goes on without what it cannot read of a log and says so in its own file LOG only, which is new at each opening. */
async function reportDropped(folder: string, onDropped: (sentence: string) => void): Promise<void> {
  const said = await readFile(join(folder, 'LOG'), 'utf8').catch(() => '')
  for (const [, log, bytes, why] of said.matchAll(/ignoring error\) (\S+): dropping (\d+) bytes; (.*)/g))
    onDropped(
      `${bytes} bytes of ${log} could not be read (${why}) and are gone: what was pushed last may be missing; "pinnace scrub" names what is left without a record`
    )
}

function isLocked(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ('code' in current && current.code === 'LEVEL_LOCKED') return true
  }
  return false
}

/** Opening writes what the logs hold into tables before it removes the logs. */
async function roomBeside(folder: string): Promise<number> {
  const { bavail, blocks, bsize } = await statfs(folder)
  let needed = Math.min(REOPEN_MARGIN, (blocks * bsize) / 8)
  for (const log of await logsIn(folder)) needed += (await stat(join(folder, log))).size
  return bavail * bsize - needed
}
