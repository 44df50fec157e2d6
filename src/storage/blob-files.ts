import { randomUUID } from 'node:crypto'
import { type FileHandle, lstat, open, opendir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { algorithmOf, type Digest, encodedOf, tryParseDigest } from '../oci/digest.ts'
import type { AbortOptions, BlobFile, BlobFiles, QuarantinedFile } from '../registry/ports.ts'
import { OpenBlobFile } from './open-blob-file.ts'
import { blobPlace, type StoragePaths } from './paths.ts'
import type { PlaceSync } from './place-sync.ts'
import { ReadBuffers } from './read-buffers.ts'
import { hasCode, isMissing, storageError } from './storage-error.ts'

export interface FlatBlobFilesComponents {
  paths: StoragePaths
  places: PlaceSync
}

/** Blobs as flat files under `blobs/<algorithm>/<first 2 hex>/<hex>`. */
export class FlatBlobFiles implements BlobFiles {
  readonly #paths: StoragePaths
  readonly #places: PlaceSync
  readonly #buffers = new ReadBuffers()
  #probing: Promise<void> | undefined

  constructor({ paths, places }: FlatBlobFilesComponents) {
    this.#paths = paths
    this.#places = places
  }

  async open(digest: Digest): Promise<BlobFile | undefined> {
    let handle: FileHandle
    try {
      handle = await open(blobPlace(this.#paths, digest).file, 'r')
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
    try {
      return new OpenBlobFile(handle, await handle.stat({ bigint: true }), this.#buffers)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  async syncPlace(digest: Digest): Promise<void> {
    try {
      await this.#places.sync(blobPlace(this.#paths, digest).shard)
    } catch (error) {
      throw storageError(error)
    }
  }

  /** Synced when it returns: a file that came back after a power cut would belong to nobody. */
  async remove(digest: Digest): Promise<void> {
    const { shard, file } = blobPlace(this.#paths, digest)
    try {
      await unlink(file)
    } catch (error) {
      if (!isMissing(error)) throw error
      // Perhaps removed just before a crash that undid it.
      return this.#syncIfThere(shard)
    }
    await this.#places.sync(shard)
  }

  /** The name of the file in `quarantine/` says what it was and is never used twice. */
  async quarantine(digest: Digest): Promise<QuarantinedFile | undefined> {
    const { shard, file } = blobPlace(this.#paths, digest)
    const name = quarantineName(digest)
    const target = join(this.#paths.quarantine, name)
    try {
      await rename(file, target)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw storageError(error)
    }
    await this.#places.folders.sync(this.#paths.quarantine)
    await this.#places.sync(shard)
    return this.quarantined(name)
  }

  async quarantineBytes(digest: Digest, bytes: Uint8Array): Promise<QuarantinedFile> {
    const name = quarantineName(digest)
    const path = join(this.#paths.quarantine, name)
    try {
      await writeFile(path, bytes, { mode: 0o600, flush: true })
      await this.#places.folders.sync(this.#paths.quarantine)
    } catch (error) {
      await rm(path, { force: true })
      throw storageError(error)
    }
    return { name, path, size: bytes.length, at: Date.now(), digest }
  }

  async quarantined(name: string): Promise<QuarantinedFile | undefined> {
    // It came from a command line: only what is in this folder itself.
    if (name === '' || name === '.' || name === '..' || basename(name) !== name || name.includes('\0')) return undefined
    const path = join(this.#paths.quarantine, name)
    try {
      const found = await lstat(path)
      if (!found.isFile()) return undefined
      const digest = digestIn(name)
      return {
        name,
        path,
        size: found.size,
        at: Math.round(found.ctimeMs),
        ...(digest === undefined ? {} : { digest })
      }
    } catch (error) {
      if (isMissing(error) || hasCode(error, 'ENAMETOOLONG')) return undefined
      throw error
    }
  }

  async *listQuarantined(options: AbortOptions = {}): AsyncIterable<QuarantinedFile> {
    for await (const { name } of await opendir(this.#paths.quarantine)) {
      options.signal?.throwIfAborted()
      const file = await this.quarantined(name)
      if (file !== undefined) yield file
    }
  }

  async removeQuarantined(name: string): Promise<boolean> {
    const file = await this.quarantined(name)
    if (file === undefined) return false
    try {
      await unlink(file.path)
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
    await this.#places.folders.sync(this.#paths.quarantine)
    return true
  }

  async *list(options: AbortOptions = {}): AsyncIterable<{ digest: Digest; size: number }> {
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const folder = join(this.#paths.blobs, algorithm)
      for await (const shard of await opendir(folder)) {
        options.signal?.throwIfAborted()
        if (shard.isDirectory()) yield* listShard(algorithm, join(folder, shard.name), shard.name, options)
      }
    }
  }

  async probe(options: AbortOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#probing ??= this.#probe().finally(() => {
      this.#probing = undefined
    })
    await this.#probing
  }

  async #probe(): Promise<void> {
    const path = join(this.#paths.root, '.probe')
    const written = randomUUID()
    try {
      await writeFile(path, written, { mode: 0o600 })
      const read = await readFile(path, 'utf8')
      if (read !== written) throw new Error(`${path} does not hold what was just written to it`)
    } catch (error) {
      throw storageError(error)
    } finally {
      await rm(path, { force: true })
    }
  }

  async #syncIfThere(shard: string): Promise<void> {
    try {
      await this.#places.sync(shard)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }
}

async function* listShard(
  algorithm: string,
  folder: string,
  prefix: string,
  options: AbortOptions
): AsyncIterable<{ digest: Digest; size: number }> {
  for await (const entry of await opendir(folder, { bufferSize: 128 })) {
    options.signal?.throwIfAborted()
    const digest = tryParseDigest(`${algorithm}:${entry.name}`)
    if (digest === undefined || !entry.isFile() || !entry.name.startsWith(prefix)) continue
    try {
      yield { digest, size: (await stat(join(folder, entry.name))).size }
    } catch (error) {
      // Removed meanwhile.
      if (!isMissing(error)) throw error
    }
  }
}

function quarantineName(digest: Digest): string {
  return `${algorithmOf(digest)}-${encodedOf(digest)}.${randomUUID().slice(0, 8)}`
}

/** The digest in a {@link quarantineName}. */
function digestIn(name: string): Digest | undefined {
  const [, algorithm, encoded] = /^(sha256|sha512)-([0-9a-f]+)\.[0-9a-f]{8}$/.exec(name) ?? []
  return algorithm === undefined ? undefined : tryParseDigest(`${algorithm}:${encoded}`)
}
