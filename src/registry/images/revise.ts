import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions, ImageRecord, Mutation } from '../ports.ts'
import { imageOnlyBlocks } from './only-blocks.ts'
import { isWholeIn } from './whole.ts'

/**
 * After a blob or manifest left a repository: images that no repository holds whole any more lose their CID, theirs and
 * those of the indexes above them.
 */
export async function reviseImages(
  registration: Registration,
  repository: string,
  child: Digest,
  options?: AbortOptions
): Promise<void> {
  for await (const parent of registration.metadata.parents(repository, child, options)) {
    const record = await registration.metadata.image(parent, options)
    if (record === undefined || (await isWholeSomewhere(registration, parent, options))) continue
    await registration.metadata.commit(await dropImage(registration, parent, record, options), [], options)
    await reviseImages(registration, repository, parent, options)
  }
}

async function isWholeSomewhere(registration: Registration, digest: Digest, options?: AbortOptions): Promise<boolean> {
  for await (const repository of registration.metadata.holders(digest, options)) {
    if (await isWholeIn(registration, repository, digest, options)) return true
  }
  return false
}

/** What a batch needs to forget an image's directory. */
export async function dropImage(
  registration: Registration,
  digest: Digest,
  record: ImageRecord,
  options?: AbortOptions
): Promise<Mutation[]> {
  return [
    { type: 'deleteImage', digest },
    {
      type: 'deleteBlocks',
      home: `image:${digest}`,
      multihashes: await imageOnlyBlocks(registration, digest, record, options)
    }
  ]
}
