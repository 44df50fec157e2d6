import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import { type Manifest, parseManifest, referencedDescriptors } from '../../oci/manifest.ts'
import type { Registration } from '../components.ts'
import { leafHashes } from '../manifests/leaf-hashes.ts'
import type { AbortOptions, ImageMember } from '../ports.ts'

/** Nested indexes deeper than this have no image CID; nothing real comes near. */
const maxDepth = 32

/** What an image is read from. */
export type ImageComponents = Pick<Registration, 'metadata' | 'dags'>

/** A manifest of a repository whose image is looked at; its bytes may not be committed yet. */
export interface ImageManifest {
  repository: string
  digest: Digest
  bytes: Uint8Array
  manifest: Manifest
}

/**
 * A manifest as its own bytes describe it, whatever `Content-Type` it was pushed under: two repositories must come to the
 * same image CID. `undefined` when the bytes do not say what they are; such a manifest has no image.
 */
export function imageManifest(repository: string, digest: Digest, bytes: Uint8Array): ImageManifest | undefined {
  try {
    const manifest = parseManifest(bytes, '')
    return manifest.kind === 'other' ? undefined : { repository, digest, bytes, manifest }
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}

/**
 * Every file of an image's directory, or `undefined` while anything of it is not in the repository. A complete image is a
 * pure function of its manifest, so it does not matter which repository is looked at.
 */
export async function imageMembers(
  registration: ImageComponents,
  image: ImageManifest,
  options?: AbortOptions
): Promise<ImageMember[] | undefined> {
  const members = new Map<Digest, ImageMember>()
  return (await gather(registration, image, members, 0, options)) ? [...members.values()] : undefined
}

async function gather(
  registration: ImageComponents,
  image: ImageManifest,
  members: Map<Digest, ImageMember>,
  depth: number,
  options?: AbortOptions
): Promise<boolean> {
  if (depth > maxDepth) return false
  const own = registration.dags.file({ size: image.bytes.length, leaves: leafHashes(image.bytes) })
  members.set(image.digest, { digest: image.digest, root: own.root, dagSize: own.dagSize })
  const children = new Set(image.manifest.manifests.map(child => child.digest))
  for (const { digest } of referencedDescriptors(image.manifest)) {
    if (members.has(digest)) continue
    const found = children.has(digest)
      ? await gatherChild(registration, image.repository, digest, members, depth, options)
      : await gatherBlob(registration, image.repository, digest, members, options)
    if (!found) return false
  }
  return true
}

async function gatherChild(
  registration: ImageComponents,
  repository: string,
  digest: Digest,
  members: Map<Digest, ImageMember>,
  depth: number,
  options?: AbortOptions
): Promise<boolean> {
  const revision = await registration.metadata.revision(repository, digest, options)
  const bytes = revision === undefined ? undefined : await registration.metadata.manifestBytes(digest, options)
  // An index may list plain blobs: BuildKit's cache does.
  if (revision === undefined || bytes === undefined)
    return gatherBlob(registration, repository, digest, members, options)
  const child = imageManifest(repository, digest, bytes)
  if (child !== undefined) return gather(registration, child, members, depth + 1, options)
  const own = registration.dags.file({ size: bytes.length, leaves: leafHashes(bytes) })
  members.set(digest, { digest, root: own.root, dagSize: own.dagSize })
  return true
}

async function gatherBlob(
  registration: ImageComponents,
  repository: string,
  digest: Digest,
  members: Map<Digest, ImageMember>,
  options?: AbortOptions
): Promise<boolean> {
  const { metadata } = registration
  const [link, record] = await Promise.all([metadata.link(repository, digest, options), metadata.blob(digest, options)])
  if (link === undefined || record === undefined) return false
  members.set(digest, { digest, root: record.root, dagSize: record.dagSize })
  return true
}
