import type { Dirent } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { tryParseDigest } from '../oci/digest.ts'
import { hasCode, isMissing } from './storage-error.ts'

/**
 * Files of blobs in a data folder that need not be open, at most `limit`. Only names are read, and where there is no folder
 * there are none.
 */
export async function countBlobFiles(blobs: string, limit: number): Promise<number> {
  let count = 0
  for (const algorithm of ['sha256', 'sha512']) {
    for await (const shard of entriesOf(join(blobs, algorithm))) {
      for await (const file of entriesOf(join(blobs, algorithm, shard.name))) {
        if (tryParseDigest(`${algorithm}:${file.name}`) !== undefined && ++count >= limit) return count
      }
    }
  }
  return count
}

async function* entriesOf(folder: string): AsyncGenerator<Dirent> {
  try {
    yield* await opendir(folder)
  } catch (error) {
    if (!isMissing(error) && !hasCode(error, 'ENOTDIR')) throw error
  }
}
