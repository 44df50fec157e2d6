import { statfs } from 'node:fs/promises'
import { RegistryError } from '../errors.ts'
import type { DiskRoom, Log } from '../registry/ports.ts'

const MiB = 1 << 20
const GiB = 1 << 30

/** Bytes after which free space is looked at again, at most; fewer when little is left. */
const longestStride = 64 * MiB
/** ms after which it is, since others write to the disk too. */
const freshMs = 1_000
/** Seconds: space comes back by deletions and garbage collection. */
const comeAgain = '60'

/** Bytes, or a part of the file system, from 0 to 1. */
export type ReserveSize = number | { share: number }

export interface DiskReserveInit {
  /** Default: {@link defaultReserve}. */
  reserve?: ReserveSize
  /** Told when uploads begin to be refused, and when no longer. */
  log?: Pick<Log, 'info' | 'warn'>
}

/**
 * 5 % of the file system, at most 1 GiB, at least 64 MiB or an eighth of it. What it is for does not grow with the disk:
 * LevelDB merging tables of 2 MiB and replaying logs of 4, a few copies of them, and whatever else lives on that disk.
 */
export function defaultReserve(total: number): number {
  return Math.min(GiB, Math.max(total / 20, Math.min(64 * MiB, total / 8)))
}

/**
 * The last part of the disk, which pushes may not take. Deletions, garbage collection and the metadata need a little room to
 * give back much, so a disk that clients have filled can be emptied again by them.
 *
 * Free space is asked of the file system when an upload starts and at most every 64 MiB or second of all uploads
 * together, closer as less is left, never for each chunk.
 */
export class DiskReserve implements DiskRoom {
  readonly #folder: string
  readonly #reserve: ReserveSize | undefined
  readonly #log: DiskReserveInit['log']
  #looking: Promise<void> | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  /** Bytes above the reserve when last looked, and what uploads took since. */
  #room = 0
  #taken = 0
  #stride = 0
  #refusing = false

  constructor(folder: string, init: DiskReserveInit = {}) {
    this.#folder = folder
    this.#reserve = init.reserve
    this.#log = init.log
  }

  async admit(bytes: number): Promise<void> {
    if (this.#reserve === 0) return
    if (!this.#fresh || this.#room - this.#taken < bytes + longestStride) await this.#look()
    if (this.#room - this.#taken < Math.max(1, bytes)) throw this.#full()
  }

  /**
   * Counts bytes that an upload is about to write; the promise, when there is one, is to be awaited first.
   *
   * @throws {RegistryError} STORAGE_FULL, by the promise
   */
  take(bytes: number): Promise<void> | undefined {
    if (this.#reserve === 0) return undefined
    // Each of many uploads would take a stride before it looks for itself.
    if (this.#fresh && this.#room <= 0) return Promise.reject(this.#full())
    this.#taken += bytes
    return this.#taken <= this.#stride && this.#fresh ? undefined : this.#lookFor(bytes)
  }

  /** An upload gave bytes back: the next one to want some looks anew. */
  freed(): void {
    this.#lookedAt = Number.NEGATIVE_INFINITY
  }

  get #fresh(): boolean {
    return performance.now() - this.#lookedAt < freshMs
  }

  async #lookFor(bytes: number): Promise<void> {
    await this.#look()
    this.#taken += bytes
    if (this.#room < this.#taken) throw this.#full()
  }

  /** One look for all who want one. */
  #look(): Promise<void> {
    this.#looking ??= this.#askFileSystem().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #askFileSystem(): Promise<void> {
    const { bavail, blocks, bsize } = await statfs(this.#folder)
    const reserve = this.#reserve ?? defaultReserve(blocks * bsize)
    const kept = typeof reserve === 'number' ? reserve : reserve.share * blocks * bsize
    this.#room = bavail * bsize - kept
    this.#taken = 0
    this.#stride = Math.min(longestStride, Math.max(MiB, this.#room / 2))
    this.#lookedAt = performance.now()
    if (this.#refusing && this.#room >= this.#stride) {
      this.#refusing = false
      this.#log?.info({ free: bavail * bsize, reserve: kept }, 'uploads are taken again: the disk has room')
    }
  }

  #full(): RegistryError {
    // Not for one that asks for more than any disk has.
    if (!this.#refusing && this.#room < this.#stride) {
      this.#refusing = true
      this.#log?.warn({ room: this.#room }, 'uploads are refused: the disk is full to its reserve (ipfs.reserve)')
    }
    return new RegistryError('STORAGE_FULL', {
      message: 'no space left for this on the storage of this registry, less what is reserved',
      headers: { 'Retry-After': comeAgain }
    })
  }
}
