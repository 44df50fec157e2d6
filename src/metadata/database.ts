import type {
  AbstractChainedBatchWriteOptions,
  AbstractIterator,
  AbstractIteratorOptions,
  AbstractKeyIteratorOptions,
  AbstractLevel
} from 'abstract-level'
import { isStorageFull, RegistryError } from '../errors.ts'
import { CHUNK_BYTES, type Chunk, chunkOf } from './chunk.ts'
import type { KeyRange } from './keys.ts'
import type { Value } from './layer.ts'
import { explainUse } from './unusable.ts'

/** Any ordered key-value store of the Level family with text keys that can read synchronously. */
export type Level = AbstractLevel<string | Buffer | Uint8Array, string, string>

/** A write that LevelDB has done. */
export interface Written {
  bytes: number
  changes: number
  durable: boolean
}

export interface DatabaseComponents {
  level: Level
  /** Bytes free on the disk beyond what opening the database again may take; none when not above zero. */
  room?: () => Promise<number>
  /** Where it is, for messages. */
  folder?: string
  /** Called after each write, which is complete only when this is: what else a durable one needs synced. */
  written?: (write: Written) => Promise<void>
}

/**
 * The database with the one thing LevelDB lacks: it heals. After a failed write LevelDB's log may hold a torn record
 * behind which later, acknowledged ones would be lost at the next opening, and after a failed sync or compaction it
 * refuses writes for good. So nothing is written after a failure until the database was closed and opened again; reads
 * go on meanwhile. It is not closed while the disk has no room for its recovery, which would end the reads as well.
 *
 * A write that failed may still be found in the log on opening. What it changed is put back then, so that a rejected
 * commit stays rejected.
 */
export class Database {
  readonly #level: Level
  readonly #room: (() => Promise<number>) | undefined
  readonly #written: DatabaseComponents['written']
  readonly #folder: string | undefined
  /** Set while nobody may touch the database because it is being closed and opened again. */
  #reopening: Promise<void> | undefined
  /** Reads under way that must end before the database is closed. */
  readonly #reads = new Set<Promise<unknown>>()
  /** Keys of the write that failed last: the database must be opened again before the next write. */
  #failed: string[] | undefined
  /** What these keys were before, read before closing. */
  #before: Map<string, Value | undefined> | undefined
  #closed = true
  #openings = 0

  constructor(components: DatabaseComponents) {
    const getSync: unknown = Reflect.get(components.level.supports, 'getSync')
    if (getSync !== true) throw new TypeError('the metadata store needs a database with getSync()')
    this.#level = components.level
    this.#room = components.room
    this.#written = components.written
    this.#folder = components.folder
  }

  /** @throws {RegistryError} STORAGE_FULL, since opening writes */
  async open(): Promise<void> {
    await this.#openLevel()
    this.#failed = undefined
    this.#before = undefined
    this.#closed = false
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#reopening?.catch(() => undefined)
    await Promise.allSettled(this.#reads)
    await this.#level.close()
  }

  /** Whether {@link text} and {@link bytes} may be called now; otherwise await {@link ready} first. */
  get usable(): boolean {
    return this.#reopening === undefined && this.#level.status === 'open'
  }

  /** Waits while the database is being opened again, and opens it when an earlier attempt failed. */
  async ready(): Promise<void> {
    while (!this.usable) {
      if (this.#closed) throw new RegistryError('UNAVAILABLE', { message: 'the metadata store is closed' })
      await (this.#reopening ?? this.#reopen())
    }
  }

  text(key: string): string | undefined {
    try {
      return this.#level.getSync(key)
    } catch (error) {
      throw explainUse(this.#folder, 'reading', error)
    }
  }

  bytes(key: string): Uint8Array | undefined {
    try {
      return this.#level.getSync<string, Uint8Array>(key, { valueEncoding: 'view' })
    } catch (error) {
      throw explainUse(this.#folder, 'reading', error)
    }
  }

  /** Grows whenever the database was opened: iterators of before are void. */
  get openings(): number {
    return this.#openings
  }

  /** The caller's to close. Only within {@link reading}. */
  iterator(range: KeyRange, values: boolean): AbstractIterator<Level, string, string> {
    const options: AbstractIteratorOptions<string, string> & { highWaterMarkBytes: number } = {
      ...range,
      values,
      highWaterMarkBytes: CHUNK_BYTES
    }
    return this.#level.iterator(options)
  }

  /** Reads while the database is open, which it stays until the read is over. */
  async reading<T>(read: () => Promise<T>): Promise<T> {
    return this.#read(read)
  }

  /** Which of the keys exist, in their order. */
  async hasMany(keys: string[]): Promise<boolean[]> {
    return this.#read(() => this.#level.hasMany(keys))
  }

  async entries(range: KeyRange, limit: number): Promise<Chunk<[string, string]>> {
    const options: AbstractIteratorOptions<string, string> & { highWaterMarkBytes: number } = {
      ...range,
      highWaterMarkBytes: CHUNK_BYTES
    }
    return this.#read(() => chunkOf(this.#level.iterator(options), limit))
  }

  async keys(range: KeyRange, limit: number): Promise<Chunk<string>> {
    const options: AbstractKeyIteratorOptions<string> & { highWaterMarkBytes: number } = {
      ...range,
      highWaterMarkBytes: CHUNK_BYTES
    }
    return this.#read(() => chunkOf(this.#level.keys(options), limit))
  }

  /**
   * Writes all changes (`undefined` deletes) or none; healed and tried once more when that can help. One at a time.
   *
   * @throws {RegistryError} STORAGE_FULL
   */
  async write(changes: ReadonlyMap<string, Value | undefined>, durable: boolean): Promise<void> {
    await this.heal()
    try {
      await this.#batch(changes, durable)
    } catch (error) {
      this.#failed = [...changes.keys()]
      await this.#healOr(error)
      await this.#batch(changes, durable).catch(again => {
        this.#failed = [...changes.keys()]
        throw explainUse(this.#folder, 'writing', storageError(again))
      })
    }
  }

  /**
   * Makes the database writable again after a failed write; nothing to do otherwise.
   *
   * @throws {RegistryError} STORAGE_FULL while there is no room for it
   */
  async heal(): Promise<void> {
    await this.ready()
    if (this.#failed !== undefined) await this.#reopen()
  }

  async #healOr(original: unknown): Promise<void> {
    try {
      await this.heal()
    } catch {
      // Why the write failed says more than why the database could not be opened again.
      throw explainUse(this.#folder, 'writing', storageError(original))
    }
  }

  async #batch(changes: ReadonlyMap<string, Value | undefined>, durable: boolean): Promise<void> {
    // A chained batch hands each change to LevelDB as it is: an array of ten thousand would hold up the event loop.
    const batch = this.#level.batch()
    let bytes = 0
    try {
      for (const [key, value] of changes) {
        bytes += Buffer.byteLength(key) + (value === undefined ? 0 : Buffer.byteLength(value))
        if (value === undefined) batch.del(key)
        else if (typeof value === 'string') batch.put(key, value)
        else batch.put<string, Uint8Array>(key, value, { valueEncoding: 'view' })
      }
    } catch (error) {
      await batch.close()
      throw error
    }
    const options: AbstractChainedBatchWriteOptions & { sync: boolean } = { sync: durable }
    await batch.write(options)
    await this.#written?.({ bytes, changes: changes.size, durable })
  }

  async #openLevel(): Promise<void> {
    this.#openings++
    await this.#level.open().catch(error => {
      throw storageError(error)
    })
  }

  #reopen(): Promise<void> {
    const reopening = this.#closeAndOpen().finally(() => {
      this.#reopening = undefined
    })
    this.#reopening = reopening
    return reopening
  }

  async #closeAndOpen(): Promise<void> {
    if (this.#level.status === 'open') {
      this.#before ??= await this.#valuesOf(this.#failed ?? [])
      await this.#assertRoom()
      await Promise.allSettled(this.#reads)
      await this.#level.close()
    } else {
      await this.#assertRoom()
    }
    await this.#openLevel()
    if (this.#before !== undefined && this.#before.size > 0) {
      await this.#batch(this.#before, true).catch(error => {
        throw storageError(error)
      })
    }
    this.#before = undefined
    this.#failed = undefined
  }

  /** Values as raw bytes, whatever they encode. */
  async #valuesOf(keys: string[]): Promise<Map<string, Value | undefined>> {
    const before = new Map<string, Value | undefined>()
    for (let at = 0; at < keys.length; at += 1024) {
      const some = keys.slice(at, at + 1024)
      const values = await this.#level.getMany<string, Uint8Array>(some, { valueEncoding: 'view' })
      for (const [index, key] of some.entries()) before.set(key, values[index])
    }
    return before
  }

  async #assertRoom(): Promise<void> {
    const room = await this.#room?.()
    if (room !== undefined && room <= 2 * sizeOf(this.#before)) throw new RegistryError('STORAGE_FULL')
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    // Again and again, since another failure may come between being ready and going on here.
    while (!this.usable) await this.ready()
    const reading = read()
    this.#reads.add(reading)
    try {
      return await reading
    } catch (error) {
      throw explainUse(this.#folder, 'reading', error)
    } finally {
      this.#reads.delete(reading)
    }
  }
}

function sizeOf(changes: ReadonlyMap<string, Value | undefined> | undefined): number {
  let bytes = 0
  for (const [key, value] of changes ?? []) bytes += key.length + (value?.length ?? 0)
  return bytes
}

/** LevelDB reports the operating system's words and no code; a full disk becomes the error clients are told about. */
function storageError(error: unknown): unknown {
  return isStorageFull(error) && !(error instanceof RegistryError)
    ? new RegistryError('STORAGE_FULL', { cause: error })
    : error
}
