import { referencedDescriptors } from '../../oci/manifest.ts'
import type { Registration } from '../components.ts'
import { readStored } from '../manifests/stored.ts'
import type { AbortOptions } from '../ports.ts'
import type { UntaggedManifest } from '../registry.ts'

/** Manifests that no tag, index or subject leads to: what garbage collection counts as untagged. */
export async function* listUntagged(
  registration: Registration,
  options: AbortOptions & { repository?: string } = {}
): AsyncGenerator<UntaggedManifest> {
  const { metadata } = registration
  const abort = options.signal === undefined ? {} : { signal: options.signal }
  for await (const { repository, digest } of metadata.unnamedRevisions(options)) {
    const stored = await readStored(registration, repository, digest, abort)
    if (stored === undefined) continue
    const { record, manifest } = stored
    const { subject } = manifest
    if (subject !== undefined && (await metadata.revision(repository, subject, abort)) !== undefined) continue
    const size = referencedDescriptors(manifest).reduce((sum, descriptor) => sum + descriptor.size, record.size)
    const { mediaType, used } = record
    yield { repository, digest, mediaType, size, ...(used === undefined ? {} : { used }) }
  }
}
