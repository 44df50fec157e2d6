import { constants } from 'node:fs'
import { open, opendir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RegistryError } from '../errors.ts'
import type { Digest, DigestAlgorithm } from '../oci/digest.ts'
import type { AbortOptions, AppendOptions, StagedContent, UploadStaging } from '../registry/ports.ts'
import { appendBody } from './append-body.ts'
import { DirectFile } from './direct-file.ts'
import type { DiskReserve } from './disk-reserve.ts'
import type { HashPool } from './hash-pool.ts'
import { identityOf } from './open-blob-file.ts'
import { blobPlace, type StoragePaths, uploadPath } from './paths.ts'
import type { PlaceSync } from './place-sync.ts'
import { readStaged } from './read-staged.ts'
import type { Ring } from './ring.ts'
import { StagedFile } from './staged-file.ts'
import { StagedFiles } from './staged-files.ts'
import { StagedHash } from './staged-hash.ts'
import { isMissing, storageError } from './storage-error.ts'

export interface UploadFilesComponents {
  paths: StoragePaths
  ring: Ring
  pool: HashPool
  places: PlaceSync
  reserve: DiskReserve
}

export interface UploadFilesInit {
  /** Sessions whose file stays open and whose hash is kept between requests. Default 64. */
  idleSessions?: number
  /**
   * Bytes at the start of every blob that go through the page cache, so that small ones are in memory when first pulled;
   * the rest goes past it where the system can do that. Default 8 MiB.
   */
  cachedSize?: number
}

/** Upload sessions as flat files, one an id; the size on disk is the offset. */
export class UploadFiles implements UploadStaging {
  readonly #components: UploadFilesComponents
  readonly #files: StagedFiles
  readonly #cachedSize: number

  constructor(components: UploadFilesComponents, init: UploadFilesInit = {}) {
    this.#components = components
    this.#files = new StagedFiles(init.idleSessions ?? 64)
    this.#cachedSize = init.cachedSize ?? 8 << 20
  }

  async create(id: string, algorithm: DigestAlgorithm): Promise<void> {
    const path = this.#path(id)
    await this.#components.reserve.admit(0)
    try {
      const handle = await open(path, 'wx+', 0o600)
      const hash = new StagedHash(this.#components.pool, path, algorithm)
      this.#files.add(id, new StagedFile(id, handle, hash, new DirectFile(path, this.#cachedSize)))
    } catch (error) {
      throw storageError(error)
    }
  }

  async size(id: string): Promise<number | undefined> {
    const path = uploadPath(this.#components.paths, id)
    if (path === undefined) return undefined
    try {
      return (await stat(path)).size
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async append(id: string, body: AsyncIterable<Uint8Array>, options?: AppendOptions): Promise<number> {
    const { reserve } = this.#components
    return this.#use(id, async file => {
      const size = await sizeOf(file)
      const at = options?.at ?? size
      if (at > size) throw new RegistryError('BLOB_UPLOAD_OUT_OF_ORDER', { detail: { upload: id, size } })
      const more = (options?.expected ?? 0) - (size - at)
      // What takes no more than is cut for it fits on a full disk too.
      if (at === size || more > 0) await reserve.admit(more)
      const cut = async (): Promise<void> => {
        await file.cut(at)
        this.#continueHash(file, at)
        reserve.freed()
      }
      if (at === size) this.#continueHash(file, at)
      await appendBody(file, at, body, this.#components, at < size ? { ...options, cut } : options)
      return sizeOf(file)
    })
  }

  /** Makes the running hash stand where the file ends, if it can, and be able to come back there. */
  #continueHash(file: StagedFile, size: number): void {
    // Bytes that this process did not hash are hashed once, at the end, however many appends follow.
    if (file.hash !== undefined && (!file.hash.rewind(size) || !file.hash.alive)) dropHash(file)
    if (file.hash === undefined && size === 0)
      file.hash = new StagedHash(this.#components.pool, this.#path(file.id), 'sha256')
    file.hash?.mark()
  }

  async content(id: string, algorithm: DigestAlgorithm, options?: AbortOptions): Promise<StagedContent> {
    return this.#use(id, async file => {
      const size = await sizeOf(file)
      const running = file.hash
      if (running?.algorithm === algorithm && running.size === size) {
        const content = await running.content(options)
        if (content !== undefined) return content
      }
      return this.#components.pool.read(this.#path(id), size, algorithm, options)
    })
  }

  async read(id: string, buffer: Uint8Array, offset: number, options?: AbortOptions): Promise<number> {
    const unknown = (error: unknown) => Promise.reject(isMissing(error) ? unknownUpload(id, error) : error)
    return readStaged(this.#path(id), buffer, offset, options).catch(unknown)
  }

  async sync(id: string): Promise<void> {
    const { paths, places } = this.#components
    await this.#use(id, async file => {
      const named = file.named ? undefined : places.folders.sync(paths.uploads)
      await Promise.all([file.sync(), named])
      file.named = true
    })
  }

  async place(id: string, digest: Digest): Promise<string> {
    const source = this.#path(id)
    const { shard, file } = blobPlace(this.#components.paths, digest)
    try {
      await this.#rename(source, shard, file)
    } catch (error) {
      // Repeated after a crash: the rename may have been done.
      if (!isMissing(error)) throw storageError(error)
      if (!(await exists(file))) throw unknownUpload(id, error)
    }
    this.#files.forget(id)
    return identityOf(await stat(file, { bigint: true }))
  }

  async discard(id: string): Promise<void> {
    const path = uploadPath(this.#components.paths, id)
    if (path === undefined) return
    this.#files.forget(id)
    await rm(path, { force: true })
  }

  async *list(): AsyncIterable<{ id: string; size: number; modifiedAt: number }> {
    for await (const entry of await opendir(this.#components.paths.uploads)) {
      if (!entry.isFile()) continue
      try {
        const { size, mtimeMs } = await stat(join(this.#components.paths.uploads, entry.name))
        yield { id: entry.name, size, modifiedAt: mtimeMs }
      } catch (error) {
        // Placed or discarded meanwhile.
        if (!isMissing(error)) throw error
      }
    }
  }

  /** Closes every open file. What was acknowledged is on disk already. */
  async close(): Promise<void> {
    await this.#files.close()
  }

  #use<Result>(id: string, task: (file: StagedFile) => Promise<Result>): Promise<Result> {
    const path = this.#path(id)
    const reopened = async (): Promise<StagedFile> => {
      try {
        return new StagedFile(id, await open(path, constants.O_RDWR), undefined, new DirectFile(path, this.#cachedSize))
      } catch (error) {
        throw isMissing(error) ? unknownUpload(id, error) : error
      }
    }
    return this.#files.use(id, reopened, task)
  }

  async #rename(source: string, shard: string, file: string): Promise<void> {
    try {
      await rename(source, file)
    } catch (error) {
      if (!isMissing(error)) throw error
      await this.#components.places.create(shard)
      await rename(source, file)
    }
  }

  #path(id: string): string {
    const path = uploadPath(this.#components.paths, id)
    if (path === undefined) throw unknownUpload(id)
    return path
  }
}

/** Bytes on disk, whatever this process believes. */
async function sizeOf(file: StagedFile): Promise<number> {
  const { size, nlink } = await file.handle.stat()
  if (nlink === 0) throw unknownUpload(file.id)
  return size
}

function dropHash(file: StagedFile): void {
  file.hash?.drop()
  file.hash = undefined
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

function unknownUpload(id: string, cause?: unknown): RegistryError {
  return new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: { upload: id.slice(0, 128) }, cause })
}
