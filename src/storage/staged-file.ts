import type { FileHandle } from 'node:fs/promises'
import type { DirectFile } from './direct-file.ts'
import type { StagedHash } from './staged-hash.ts'
import { storageError } from './storage-error.ts'

/**
 * Bytes written before they are pushed towards the disk in the background, so that the sync before the 201 finds little
 * left to do.
 */
export const writeBackSize = 32 << 20

/** What a finished append leaves to the background; less is not worth a sync of its own. */
const remainderSize = 1 << 20

/** The open file, as far as it is used here. */
export type StagedHandle = Pick<FileHandle, 'writev' | 'truncate' | 'datasync' | 'stat' | 'close'>

interface QueuedWrite {
  bytes: Uint8Array
  done(): void
}

/**
 * The staged file of one upload session while it is open. Writes go out one after the other, so that the file is at
 * every moment a prefix of what was appended.
 */
export class StagedFile {
  readonly id: string
  readonly handle: StagedHandle
  /** `undefined` when the bytes on disk were not all hashed by this process. */
  hash: StagedHash | undefined
  /** The file's name is known to survive a power cut. */
  named = false
  /** Bytes are about to be read again: they are better kept in the page cache. */
  readBack = false
  /** Called once, when a write fails. */
  onFailure: ((error: unknown) => void) | undefined
  readonly #direct: DirectFile | undefined
  readonly #queue: QueuedWrite[] = []
  #position = 0
  #writing: Promise<void> | undefined
  #failure: unknown
  #dirty = true
  /** Bytes since the last sync, and those of them that the page cache holds. */
  #unsynced = 0
  #cached = 0
  #syncing: Promise<void> | undefined
  #damage: { error: unknown } | undefined

  constructor(id: string, handle: StagedHandle, hash: StagedHash | undefined, direct?: DirectFile) {
    this.id = id
    this.handle = handle
    this.hash = hash
    this.#direct = direct
  }

  /** A sync failed: the kernel may have thrown pages away, so the bytes can never be vouched for again. */
  get damaged(): boolean {
    return this.#damage !== undefined
  }

  /**
   * Starts an append at the end of the file; forgets the failed write of the one before.
   *
   * @throws what an earlier sync threw: nothing that follows could be acknowledged
   */
  begin(size: number): void {
    if (this.#damage !== undefined) throw storageError(this.#damage.error)
    this.#position = size
    this.#failure = undefined
  }

  /**
   * Cuts the file after its first `size` bytes, where the next write goes. Nothing may be queued.
   *
   * @throws {RegistryError} STORAGE_FULL, by file systems that need room to give some
   * @throws what the file system throws
   */
  async cut(size: number): Promise<void> {
    await this.#writing
    this.#dirty = true
    try {
      await this.handle.truncate(size)
    } catch (error) {
      throw storageError(error)
    }
    this.#position = size
  }

  /** Queues bytes; `done` is called when they are no longer looked at, written or not. */
  write(bytes: Uint8Array, done: () => void): void {
    if (this.#failure !== undefined) {
      done()
      return
    }
    this.#queue.push({ bytes, done })
    this.#writing ??= this.#writeQueued()
  }

  /**
   * Waits for everything queued.
   *
   * @throws {RegistryError} STORAGE_FULL
   * @throws what the failed write threw
   */
  async written(): Promise<void> {
    await this.#writing
    if (this.#failure !== undefined) throw storageError(this.#failure)
    // What is read while it arrives comes in many small appends.
    if (!this.readBack && this.#unsynced >= remainderSize) this.#writeBack()
  }

  /**
   * Makes everything written survive a power cut.
   *
   * @throws what this or an earlier sync threw
   */
  async sync(): Promise<void> {
    for (;;) {
      if (this.#damage !== undefined) throw storageError(this.#damage.error)
      if (this.#syncing === undefined && this.#dirty) this.#startSync()
      if (this.#syncing === undefined) return
      await this.#syncing
    }
  }

  async close(): Promise<void> {
    this.hash?.drop()
    await Promise.all([this.handle.close(), this.#direct?.close()])
  }

  async #writeQueued(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0)
      try {
        if (this.#failure === undefined) await this.#writeAll(batch.map(write => write.bytes))
      } catch (error) {
        this.#failure = error
        this.onFailure?.(error)
      }
      for (const write of batch) write.done()
    }
    this.#writing = undefined
  }

  async #writeAll(views: Uint8Array[]): Promise<void> {
    let rest = views
    while (rest.length > 0) {
      const direct = this.readBack ? 0 : ((await this.#direct?.writev(rest, this.#position)) ?? 0)
      const cached = direct > 0 ? 0 : (await this.handle.writev(rest, this.#position)).bytesWritten
      this.#position += direct + cached
      this.#dirty = true
      this.#unsynced += direct + cached
      this.#cached += cached
      rest = after(rest, direct + cached)
    }
    if (this.#cached >= writeBackSize) this.#writeBack()
  }

  /** A failure is kept and told by the next {@link sync}. */
  #writeBack(): void {
    if (this.#syncing === undefined && this.#damage === undefined) this.#startSync()
  }

  #startSync(): void {
    this.#dirty = false
    this.#unsynced = 0
    this.#cached = 0
    this.#syncing = this.handle
      .datasync()
      .catch(error => {
        this.#damage = { error }
      })
      .finally(() => {
        this.#syncing = undefined
      })
  }
}

/** What is left of `views` after their first `count` bytes. */
function after(views: Uint8Array[], count: number): Uint8Array[] {
  let left = count
  for (const [index, view] of views.entries()) {
    if (left < view.length) return [view.subarray(left), ...views.slice(index + 1)]
    left -= view.length
  }
  return []
}
