import type { Digest } from '../../oci/digest.ts'
import { parseManifest, referencedDescriptors } from '../../oci/manifest.ts'
import { blockMultihashes } from '../blobs/leaves.ts'
import type { Registration } from '../components.ts'
import { dropImage, reviseImages } from '../images/revise.ts'
import { type AbortOptions, type Mutation, type Precondition, PreconditionFailed } from '../ports.ts'
import { manifestUnknown } from './get.ts'
import { leafHashes } from './leaf-hashes.ts'

/** end-9 by digest: the manifest leaves the repository, and every tag that points at it. Its referrers stay. */
export async function deleteManifest(
  registration: Registration,
  repository: string,
  digest: Digest,
  options?: AbortOptions
): Promise<void> {
  if (!(await removeRevision(registration, repository, digest, [], options))) {
    throw await manifestUnknown(registration, repository, { digest }, options)
  }
}

/** `false` when there is no such manifest or a condition does not hold. */
export async function removeRevision(
  registration: Registration,
  repository: string,
  digest: Digest,
  conditions: Precondition[],
  options?: AbortOptions
): Promise<boolean> {
  const { metadata } = registration
  const revision = await metadata.revision(repository, digest, options)
  const bytes = await metadata.manifestBytes(digest, options)
  if (revision === undefined || bytes === undefined) return false
  const mutations: Mutation[] = [{ type: 'deleteRevision', repository, digest }]
  for await (const tag of metadata.tagsOf(repository, digest, options))
    mutations.push({ type: 'deleteTag', repository, tag })
  const manifest = parseManifest(bytes, revision.mediaType)
  for (const child of referencedDescriptors(manifest)) {
    mutations.push({ type: 'deleteReference', repository, child: child.digest, parent: digest })
  }
  if (manifest.subject !== undefined)
    mutations.push({ type: 'deleteReferrer', repository, subject: manifest.subject, digest })
  try {
    await metadata.commit(mutations, [{ type: 'revisionExists', repository, digest }, ...conditions], options)
  } catch (error) {
    if (error instanceof PreconditionFailed) return false
    throw error
  }
  await reviseImages(registration, repository, digest, options)
  await reapManifest(registration, digest, options)
  return true
}

/** Frees a manifest's bytes and image when no repository holds it; GC repeats it for what a crash left. */
export async function reapManifest(
  registration: Registration,
  digest: Digest,
  options?: AbortOptions
): Promise<boolean> {
  const { metadata, dags } = registration
  const bytes = await metadata.manifestBytes(digest, options)
  if (bytes === undefined) return false
  const { root } = dags.file({ size: bytes.length, leaves: leafHashes(bytes) })
  const image = await metadata.image(digest, options)
  const mutations: Mutation[] = [
    { type: 'deleteManifest', digest },
    {
      type: 'deleteBlocks',
      home: `manifest:${digest}`,
      multihashes: await blockMultihashes(registration, { root }, options)
    },
    ...(image === undefined ? [] : await dropImage(registration, digest, image, options))
  ]
  try {
    await metadata.commit(mutations, [{ type: 'unlinked', digest }], options)
    return true
  } catch (error) {
    if (error instanceof PreconditionFailed) return false
    throw error
  }
}
