import type { Digest } from '../../oci/digest.ts'
import { readManifest, referencedDescriptors } from '../../oci/manifest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions } from '../ports.ts'

/** Why a repository may have a blob fetched for it. */
export interface Right {
  /** It held the bytes once, or was given them. A manifest's mere word for it is less: whoever may push can write one. */
  linked: boolean
  /** Bytes, by the word of a manifest of the repository; absent when no manifest describes the blob. */
  size?: number
}

/** `undefined` when the repository neither links the blob nor has a manifest that references it. */
export async function rightTo(
  registration: Pick<Registration, 'metadata'>,
  repository: string,
  digest: Digest,
  options?: AbortOptions
): Promise<Right | undefined> {
  const { metadata } = registration
  const linked = (await metadata.link(repository, digest, options)) !== undefined
  let referenced = false
  for await (const parent of metadata.parents(repository, digest, options)) {
    referenced = true
    const size = await describedSize(registration, repository, parent, digest, options)
    if (size !== undefined) return { linked, size }
  }
  return linked || referenced ? { linked } : undefined
}

async function describedSize(
  { metadata }: Pick<Registration, 'metadata'>,
  repository: string,
  parent: Digest,
  digest: Digest,
  options?: AbortOptions
): Promise<number | undefined> {
  const [revision, bytes] = await Promise.all([
    metadata.revision(repository, parent, options),
    metadata.manifestBytes(parent, options)
  ])
  if (revision === undefined || bytes === undefined) return undefined
  const descriptors = referencedDescriptors(readManifest(bytes, revision.mediaType))
  return descriptors.find(descriptor => descriptor.digest === digest)?.size
}
