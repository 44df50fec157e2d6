import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Every file in a stopped or running node's folder of blobs, as a digest, sorted. */
export async function blobsOnDisk(dataDir: string): Promise<string[]> {
  const entries = await readdir(join(dataDir, 'blobs'), { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile())
    .map(({ name }) => `sha256:${name}`)
    .sort()
}
