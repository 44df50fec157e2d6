import type { Digest } from '../../oci/digest.ts'
import { type Manifest, referrerArtifactType } from '../../oci/manifest.ts'
import type { ReferrerDescriptor } from '../ports.ts'

/** How the referrers list shows a manifest (end-12a). */
export function referrerDescriptor(
  digest: Digest,
  manifest: Manifest,
  mediaType: string,
  size: number
): ReferrerDescriptor {
  const descriptor: ReferrerDescriptor = { mediaType, digest, size }
  const artifactType = referrerArtifactType(manifest)
  if (artifactType !== undefined) descriptor.artifactType = artifactType
  if (manifest.annotations !== undefined) descriptor.annotations = manifest.annotations
  return descriptor
}
