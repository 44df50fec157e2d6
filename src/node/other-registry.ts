import { stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Where distribution, and what is built on it, keeps repositories and blobs below its root directory. */
const distributionFolder = join('docker', 'registry', 'v2')

/**
 * A line for whoever starts Pinnace on the volume of another registry; `undefined` where there is none.
 *
 * @param folder the data folder
 */
export async function otherRegistry(folder: string): Promise<string | undefined> {
  const path = join(folder, distributionFolder)
  const isThere = await stat(path).then(
    found => found.isDirectory(),
    () => false
  )
  if (!isThere) return undefined
  return `${path} holds the images of another registry (distribution, the image "registry"), which are not taken over: docs/migrate.md says how to copy them`
}
