import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { confirmManifestRot, isSoundManifest } from '../maintenance/lost-manifests.ts'
import type { AbortOptions } from '../ports.ts'
import type { ManifestReading } from '../registry.ts'

/** end-3. @throws {RegistryError} MANIFEST_UNKNOWN, NAME_UNKNOWN, CONTENT_CORRUPT */
export async function getManifest(
  registration: Registration,
  repository: string,
  reference: { tag: string } | { digest: Digest },
  options?: AbortOptions
): Promise<ManifestReading> {
  const { metadata } = registration
  const digest =
    'digest' in reference ? reference.digest : (await metadata.tag(repository, reference.tag, options))?.digest
  if (digest === undefined) throw await manifestUnknown(registration, repository, reference, options)
  const revision = await metadata.revision(repository, digest, options)
  const bytes = revision === undefined ? undefined : await metadata.manifestBytes(digest, options)
  if (revision === undefined || bytes === undefined)
    throw await manifestUnknown(registration, repository, reference, options)
  demandSound(registration, digest, bytes)
  const image = await metadata.image(digest, options)
  const reading = { digest, mediaType: revision.mediaType, size: bytes.length, bytes }
  return image === undefined ? reading : { ...reading, image: image.root }
}

/**
 * LevelDB does not look at its checksums when it reads.
 *
 * @throws {RegistryError} CONTENT_CORRUPT; the manifest is then put aside behind the failed request
 */
function demandSound(registration: Registration, digest: Digest, bytes: Uint8Array): void {
  if (registration.soundManifests.has(bytes)) return
  if (!isSoundManifest(digest, bytes)) {
    confirmManifestRot(registration, digest, bytes)
    throw new RegistryError('CONTENT_CORRUPT', { detail: { digest } })
  }
  registration.soundManifests.add(bytes)
}

export async function manifestUnknown(
  registration: Registration,
  repository: string,
  reference: { tag: string } | { digest: Digest },
  options?: AbortOptions
): Promise<RegistryError> {
  if (!(await registration.metadata.repositoryExists(repository, options))) {
    return new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
  }
  return new RegistryError('MANIFEST_UNKNOWN', { detail: { name: repository, ...reference } })
}
