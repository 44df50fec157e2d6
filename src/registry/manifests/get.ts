import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { confirmManifestRot, isSoundManifest } from '../maintenance/lost-manifests.ts'
import type { AbortOptions, RevisionRecord } from '../ports.ts'
import type { ManifestReading } from '../registry.ts'

/** ms between two pulls by digest that are noted, at most. */
const day = 24 * 60 * 60 * 1000

/**
 * end-3. A pull by digest is noted: a manifest that somebody deploys by digest is in use, though no tag names it.
 *
 * @throws {RegistryError} MANIFEST_UNKNOWN, NAME_UNKNOWN, CONTENT_CORRUPT
 */
export function getManifest(
  registration: Registration,
  repository: string,
  reference: { tag: string } | { digest: Digest },
  options?: AbortOptions
): Promise<ManifestReading> {
  // What a node does most: a promise more, or a copy of the result, is 2 % of it.
  if ('tag' in reference) return lookUpManifest(registration, repository, reference, options)
  return getByDigest(registration, repository, reference, options)
}

async function getByDigest(
  registration: Registration,
  repository: string,
  reference: { digest: Digest },
  options?: AbortOptions
): Promise<ManifestReading> {
  const reading = await lookUpManifest(registration, repository, reference, options)
  if (isUseDue(registration, reading.record)) await noteUse(registration, repository, reading.digest)
  return reading
}

/** A manifest as it is read, with what its repository knows of it. */
type RecordedManifest = ManifestReading & { record: RevisionRecord }

/** As {@link getManifest}, for a look that is no use. */
export async function lookUpManifest(
  registration: Registration,
  repository: string,
  reference: { tag: string } | { digest: Digest },
  options?: AbortOptions
): Promise<RecordedManifest> {
  const { metadata } = registration
  const digest =
    'digest' in reference ? reference.digest : (await metadata.tag(repository, reference.tag, options))?.digest
  if (digest === undefined) throw await manifestUnknown(registration, repository, reference, options)
  const record = await metadata.revision(repository, digest, options)
  const bytes = record === undefined ? undefined : await metadata.manifestBytes(digest, options)
  if (record === undefined || bytes === undefined)
    throw await manifestUnknown(registration, repository, reference, options)
  demandSound(registration, digest, bytes)
  const image = await metadata.image(digest, options)
  const { mediaType } = record
  const size = bytes.length
  return image === undefined
    ? { digest, mediaType, size, bytes, record }
    : { digest, mediaType, size, bytes, record, image: image.root }
}

/** Once a day, or four times in what untagged manifests are kept for where that is less. */
function isUseDue({ clock, init }: Registration, { used }: RevisionRecord): boolean {
  // Where untagged manifests go at once, their last use decides nothing.
  const interval = init.untaggedMs === undefined || init.untaggedMs === 0 ? day : Math.min(day, init.untaggedMs / 4)
  return used === undefined || clock.now() - used >= interval
}

/** Not synced: lost, it costs a day. */
async function noteUse({ metadata, clock, log }: Registration, repository: string, digest: Digest): Promise<void> {
  try {
    await metadata.commit([{ type: 'useRevision', repository, digest, at: clock.now() }], [], { durable: false })
  } catch (error) {
    // A full disk keeps nobody from pulling.
    log.warn({ err: error, repository, digest }, 'it could not be noted that a manifest was pulled')
  }
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
