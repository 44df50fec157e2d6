import { RegistryError, RegistryErrors } from '../../errors.ts'
import type { Descriptor, Manifest } from '../../oci/manifest.ts'
import type { Registration, RequiredPlatforms } from '../components.ts'
import type { AbortOptions, Precondition } from '../ports.ts'

/**
 * Every blob and child that the manifest needs is in the repository; the conditions returned keep it so until the batch is
 * applied (GC and deletes run beside).
 *
 * @throws {RegistryErrors} MANIFEST_BLOB_UNKNOWN, one for each missing descriptor
 */
export async function checkReferences(
  registration: Registration,
  repository: string,
  manifest: Manifest,
  options?: AbortOptions
): Promise<Precondition[]> {
  const { sparse, platforms } = registration.init
  const conditions: Precondition[] = []
  const missing: RegistryError[] = []
  const blobs = [...(manifest.config === undefined ? [] : [manifest.config]), ...manifest.layers]
  if (sparse !== 'all') {
    for (const blob of blobs) {
      const found = blob.nondistributable ? [] : await blobConditions(registration, repository, blob, options)
      if (found === undefined) missing.push(blobMissing(blob))
      else conditions.push(...found)
    }
  }
  if (sparse === 'none') {
    for (const child of manifest.manifests.filter(entry => isRequired(entry, platforms))) {
      const found = await childConditions(registration, repository, child, options)
      if (found === undefined) missing.push(blobMissing(child))
      else conditions.push(...found)
    }
  }
  const [first, ...rest] = missing
  if (first !== undefined) throw new RegistryErrors([first, ...rest])
  return conditions
}

async function blobConditions(
  registration: Registration,
  repository: string,
  blob: Descriptor,
  options?: AbortOptions
): Promise<Precondition[] | undefined> {
  const { metadata } = registration
  const { digest } = blob
  const [link, record] = await Promise.all([metadata.link(repository, digest, options), metadata.blob(digest, options)])
  if (link === undefined || record === undefined) return undefined
  return [
    { type: 'linkExists', repository, digest },
    { type: 'blobExists', digest }
  ]
}

/** A child is a manifest of the repository, or, as BuildKit's cache lists them, a plain blob. */
async function childConditions(
  registration: Registration,
  repository: string,
  child: Descriptor,
  options?: AbortOptions
): Promise<Precondition[] | undefined> {
  const { digest } = child
  if ((await registration.metadata.revision(repository, digest, options)) !== undefined)
    return [{ type: 'revisionExists', repository, digest }]
  return blobConditions(registration, repository, child, options)
}

function isRequired(child: Descriptor, platforms: RequiredPlatforms): boolean {
  if (platforms === 'all' || platforms === 'none') return platforms === 'all'
  const { platform } = child
  if (typeof platform !== 'object' || platform === null || !('os' in platform) || !('architecture' in platform))
    return false
  return platforms.some(wanted => wanted.os === platform.os && wanted.architecture === platform.architecture)
}

function blobMissing(descriptor: Descriptor): RegistryError {
  const { digest, mediaType, size } = descriptor
  return new RegistryError('MANIFEST_BLOB_UNKNOWN', {
    message: `manifest references ${digest}, which is not in this repository: push it first`,
    detail: { digest, mediaType, size }
  })
}
