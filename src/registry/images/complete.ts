import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import {
  type AbortOptions,
  type Dag,
  type DagBuilder,
  type ImageRecord,
  type Mutation,
  type Precondition,
  PreconditionFailed
} from '../ports.ts'
import { type ImageComponents, type ImageManifest, imageManifest, imageMembers } from './members.ts'

/** An image's record and what a batch needs to store it, or `undefined` while the image is incomplete. */
export async function buildImage(
  registration: Registration,
  image: ImageManifest,
  options?: AbortOptions
): Promise<{ record: ImageRecord; mutations: Mutation[] } | undefined> {
  const { digest, manifest, bytes } = image
  const members = await imageMembers(registration, image, options)
  if (members === undefined) return undefined
  const dag = await imageDag(registration, { digest, mediaType: manifest.mediaType, size: bytes.length }, members)
  if (dag === undefined) return undefined
  const record = { root: dag.root, dagSize: dag.dagSize }
  return {
    record,
    mutations: [
      { type: 'putImage', digest, record },
      { type: 'putBlocks', home: `image:${digest}`, blocks: dag.blocks }
    ]
  }
}

/**
 * Names that were made to collide in a sharded directory have no place in one. Such an image is an image all the same, only
 * without an image CID.
 */
async function imageDag(
  registration: Registration,
  ...args: Parameters<DagBuilder['image']>
): Promise<Dag | undefined> {
  try {
    return await registration.dags.image(...args)
  } catch (error) {
    if (error instanceof RegistryError && error.reason === 'MANIFEST_INVALID') return undefined
    throw error
  }
}

/** After a blob or manifest arrived: manifests that were stored before it (sparse) may now be whole. */
export async function completeParents(
  registration: Registration,
  repository: string,
  child: Digest,
  options?: AbortOptions
): Promise<void> {
  for await (const parent of registration.metadata.parents(repository, child, options)) {
    if ((await registration.metadata.image(parent, options)) !== undefined) continue
    if (await completeImage(registration, repository, parent, options))
      await completeParents(registration, repository, parent, options)
  }
}

async function completeImage(
  registration: Registration,
  repository: string,
  digest: Digest,
  options?: AbortOptions
): Promise<boolean> {
  const image = await readImageManifest(registration, repository, digest, options)
  const built = image === undefined ? undefined : await buildImage(registration, image, options)
  if (built === undefined) return false
  const conditions: Precondition[] = [{ type: 'revisionExists', repository, digest }]
  try {
    await registration.metadata.commit(built.mutations, conditions, options)
    registration.stored?.(built.record.root)
    return true
  } catch (error) {
    if (error instanceof PreconditionFailed) return false
    throw error
  }
}

export async function readImageManifest(
  { metadata }: Pick<ImageComponents, 'metadata'>,
  repository: string,
  digest: Digest,
  options?: AbortOptions
): Promise<ImageManifest | undefined> {
  const revision = await metadata.revision(repository, digest, options)
  const bytes = revision === undefined ? undefined : await metadata.manifestBytes(digest, options)
  if (revision === undefined || bytes === undefined) return undefined
  return imageManifest(repository, digest, bytes)
}
