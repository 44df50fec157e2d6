import { truncate } from 'node:fs/promises'
import { join } from 'node:path'

/** A registry under load. */
export interface Target {
  /** As it stands in the table. */
  name: string
  /** `http://host:port`, or `https://…`. */
  origin: string
  /** Of the process, when it was started here. */
  pid?: number
  /** The file that holds a blob's bytes, when its storage was made here. */
  fileOf?(repository: string, digest: string): string
  /** Ends what was started here and removes its data. Idempotent. */
  close(): Promise<void>
}

/**
 * Removes the bytes of a blob that nobody will ask for again, behind the server's back and in the same way for all of them:
 * deleting by the API frees them at different times, and a run of 512 MiB blobs would fill disk and page cache. The file stays,
 * empty: ext4 without a journal looks past every inode deleted in the last minutes when it makes the next file, which
 * doubled the processor time of whoever has many files in few folders.
 */
export async function freeBlob(target: Target, repository: string, digest: string): Promise<void> {
  const file = target.fileOf?.(repository, digest)
  if (file !== undefined) await truncate(file).catch(() => undefined)
}

/** `sha256:abcd…` as the folders that most storages have: `sha256/ab/abcd…`. */
export function shardOf(digest: string): string {
  const [algorithm = '', hex = ''] = digest.split(':')
  return join(algorithm, hex.slice(0, 2), hex)
}

export interface Certificate {
  /** PEM files. */
  certificate: string
  key: string
}

export interface TargetInit {
  /** A folder of the target's own for its data and configuration. */
  folder: string
  /** Speak TLS with this. */
  tls: Certificate | undefined
  signal: AbortSignal
}
