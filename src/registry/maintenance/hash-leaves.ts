import { createHash } from 'node:crypto'
import { leafSize } from '../blobs/leaves.ts'
import type { AbortOptions, BlobFile } from '../ports.ts'

/**
 * sha256 of each leaf of a blob's file, concatenated. Every leaf is also handed to `each`. One at a time, with a breath in
 * between, so that the event loop stays free.
 */
export async function hashLeaves(
  file: BlobFile,
  size: number,
  each?: (leaf: Uint8Array) => void,
  options?: AbortOptions
): Promise<Uint8Array> {
  const leaves = new Uint8Array(Math.max(1, Math.ceil(size / leafSize)) * 32)
  for (let index = 0; index * 32 < leaves.length; index++) {
    options?.signal?.throwIfAborted()
    const leaf = await file.pread(index * leafSize, Math.min(leafSize, size - index * leafSize), options)
    each?.(leaf)
    leaves.set(createHash('sha256').update(leaf).digest(), index * 32)
    await new Promise(resolve => setImmediate(resolve))
  }
  return leaves
}
