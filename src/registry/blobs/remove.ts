import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { reviseImages } from '../images/revise.ts'
import { type AbortOptions, PreconditionFailed } from '../ports.ts'
import { blockMultihashes } from './leaves.ts'
import { blobUnknown } from './stat.ts'

/** end-10: the repository loses the blob at once; the bytes go with the next GC, if no other repository has it. */
export async function deleteBlob(
  registration: Registration,
  repository: string,
  digest: Digest,
  options?: AbortOptions
): Promise<void> {
  const { metadata } = registration
  try {
    await metadata.commit(
      [{ type: 'deleteLink', repository, digest }],
      [{ type: 'linkExists', repository, digest }],
      options
    )
  } catch (error) {
    if (error instanceof PreconditionFailed) throw blobUnknown(digest)
    throw error
  }
  await reviseImages(registration, repository, digest)
}

/**
 * Frees a blob that no repository holds: first the record, durably, then the file, so that a crash in between leaves a
 * note of what is still to be removed and never a name without bytes. `false` when somebody linked it meanwhile.
 */
export async function reapBlob(registration: Registration, digest: Digest, options?: AbortOptions): Promise<boolean> {
  const { metadata, files, blobLocks, verified } = registration
  return blobLocks.run(digest, async () => {
    const record = await metadata.blob(digest, options)
    if (record === undefined) return false
    const multihashes = await blockMultihashes(registration, record, options)
    try {
      await metadata.commit(
        [
          { type: 'deleteBlob', digest },
          { type: 'deleteBlocks', home: `blob:${digest}`, multihashes }
        ],
        [{ type: 'unlinked', digest }],
        options
      )
    } catch (error) {
      if (error instanceof PreconditionFailed) return false
      throw error
    }
    verified.delete(digest)
    await files.remove(digest)
    await metadata.removed(digest)
    return true
  })
}
