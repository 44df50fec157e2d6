import { join } from 'node:path'
import { algorithmOf, type Digest, encodedOf } from '../oci/digest.ts'

/** Folders of the data folder that hold bytes. */
export interface StoragePaths {
  root: string
  /** `blobs/<algorithm>/<first 2 hex>/<hex>`. */
  blobs: string
  /** One flat file an upload session, named by its id. Beside `blobs` on one file system, so that a rename suffices. */
  uploads: string
  /** Files whose bytes stopped matching their digest. */
  quarantine: string
}

export function storagePaths(root: string): StoragePaths {
  return {
    root,
    blobs: join(root, 'blobs'),
    uploads: join(root, 'uploads'),
    quarantine: join(root, 'quarantine')
  }
}

/** The folder a digest's file lives in, and the file. */
export function blobPlace(paths: StoragePaths, digest: Digest): { algorithm: string; shard: string; file: string } {
  const encoded = encodedOf(digest)
  const algorithm = join(paths.blobs, algorithmOf(digest))
  const shard = join(algorithm, encoded.slice(0, 2))
  return { algorithm, shard, file: join(shard, encoded) }
}

const uploadId = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/

/** Path of a session's staged file; `undefined` for an id that cannot be one (it came from a URL). */
export function uploadPath(paths: StoragePaths, id: string): string | undefined {
  return uploadId.test(id) ? join(paths.uploads, id) : undefined
}
