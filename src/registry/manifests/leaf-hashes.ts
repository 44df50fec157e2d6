import { createHash } from 'node:crypto'
import { leafSize } from '../blobs/leaves.ts'

/** sha256 of each 1 MiB leaf of bytes in memory (a manifest has at most four), concatenated. */
export function leafHashes(bytes: Uint8Array): Uint8Array {
  const count = Math.max(1, Math.ceil(bytes.length / leafSize))
  const hashes = new Uint8Array(count * 32)
  for (let index = 0; index < count; index++) {
    const leaf = bytes.subarray(index * leafSize, (index + 1) * leafSize)
    hashes.set(createHash('sha256').update(leaf).digest(), index * 32)
  }
  return hashes
}
