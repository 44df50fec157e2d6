import type { Digest } from '../../oci/digest.ts'
import { type Manifest, readManifest } from '../../oci/manifest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions, RevisionRecord } from '../ports.ts'

/** A manifest as a repository holds it. `undefined` when it does not, or not any more. */
export async function readStored(
  registration: Registration,
  repository: string,
  digest: Digest,
  options?: AbortOptions
): Promise<{ record: RevisionRecord; manifest: Manifest } | undefined> {
  const { metadata } = registration
  const record = await metadata.revision(repository, digest, options)
  if (record === undefined) return undefined
  const bytes = await metadata.manifestBytes(digest, options)
  if (bytes !== undefined) return { record, manifest: readManifest(bytes, record.mediaType) }
  return { record, manifest: await lost(registration, repository, digest, record, options) }
}

/** What the indexes of the repository know of a manifest whose bytes are lost; they are gone through for it. */
async function lost(
  { metadata }: Registration,
  repository: string,
  digest: Digest,
  { mediaType }: RevisionRecord,
  options?: AbortOptions
): Promise<Manifest> {
  const names = new Set<Digest>()
  for await (const { child, parent } of metadata.references(repository, options))
    if (parent === digest) names.add(child)
  const manifest: Manifest = { mediaType, kind: 'other', layers: [], manifests: [], names }
  for await (const { subject, digest: referrer } of metadata.referrals(repository, options))
    if (referrer === digest) manifest.subject = subject
  return manifest
}
