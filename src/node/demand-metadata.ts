import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { countBlobFiles } from '../storage/count-blob-files.ts'
import { storagePaths } from '../storage/paths.ts'

/** Files counted at most for the message. */
const most = 10_000

/** There are blobs and nothing that names them; nothing was changed. */
export class MetadataMissing extends Error {
  override readonly name = 'MetadataMissing'
}

/**
 * Refuses a data folder whose blobs have lost their metadata, before anything is opened or made: it would be served as an
 * empty registry. Costs one look at one file where the database is there. Unfinished uploads alone are no reason.
 *
 * @param root - the data folder, absolute
 * @throws {MetadataMissing}
 */
export async function demandMetadata(root: string): Promise<void> {
  const folder = join(root, 'metadata')
  try {
    await access(join(folder, 'CURRENT'))
  } catch (error) {
    // Whatever else is wrong with it is said by who opens it.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) return
    await refuseBlobs(root, `${folder} is missing, empty or without its file CURRENT`)
  }
}

/**
 * The same for a database that is there and names nothing, e.g. one made new after the right one was lost.
 *
 * @throws {MetadataMissing}
 */
export async function demandNames(root: string, metadata: { isBlank(): Promise<boolean> }): Promise<void> {
  if (await metadata.isBlank()) await refuseBlobs(root, `${join(root, 'metadata')} names nothing: it was made new`)
}

async function refuseBlobs(root: string, what: string): Promise<void> {
  const { blobs } = storagePaths(root)
  const count = await countBlobFiles(blobs, most)
  if (count === 0) return
  const files = `${count < most ? '' : 'at least '}${count} ${count === 1 ? 'file' : 'files'}`
  throw new MetadataMissing(
    `${what}, but ${blobs} holds ${files}. Every name and manifest is in metadata/, so this would be an empty registry, and nothing was started or changed: restore ${join(root, 'metadata')} from a backup; or, to begin with an empty registry, move ${blobs} away`
  )
}
