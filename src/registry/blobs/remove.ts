import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { contended, maxRounds } from '../contended.ts'
import { reviseImages } from '../images/revise.ts'
import { belowTagsConditions } from '../manifests/below-tags.ts'
import { type AbortOptions, type Precondition, PreconditionFailed } from '../ports.ts'
import type { RefuseMove } from '../registry.ts'
import { blockMultihashes } from './leaves.ts'
import { blobUnknown } from './stat.ts'

/** end-10: the repository loses the blob at once; the bytes go with the next GC, if no other repository has it. */
export async function deleteBlob(
  registration: Registration,
  repository: string,
  digest: Digest,
  { refuseBelow, ...options }: AbortOptions & { refuseBelow?: RefuseMove } = {}
): Promise<void> {
  for (let round = 1; ; round++) {
    const below = await belowTagsConditions(registration, repository, digest, refuseBelow, options)
    if (await unlinkBlob(registration, repository, digest, below, options)) break
    if (round === maxRounds) throw contended('manifests of this blob keep being pushed under its deletion')
  }
  await reviseImages(registration, repository, digest)
}

/** `false` when one of the conditions does not hold any more. @throws {RegistryError} BLOB_UNKNOWN */
async function unlinkBlob(
  { metadata }: Registration,
  repository: string,
  digest: Digest,
  conditions: readonly Precondition[],
  options: AbortOptions
): Promise<boolean> {
  const linked: Precondition = { type: 'linkExists', repository, digest }
  try {
    await metadata.commit([{ type: 'deleteLink', repository, digest }], [linked, ...conditions], options)
    return true
  } catch (error) {
    if (!(error instanceof PreconditionFailed)) throw error
    if (error.failed.some(({ type }) => type === 'linkExists')) throw blobUnknown(digest)
    return false
  }
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
