import type { Digest } from '../../oci/digest.ts'
import { type Manifest, readManifest } from '../../oci/manifest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions, RevisionRecord } from '../ports.ts'

/** A manifest as a repository holds it. `undefined` when it does not, or not any more. */
export async function readStored(
  { metadata }: Registration,
  repository: string,
  digest: Digest,
  options?: AbortOptions
): Promise<{ record: RevisionRecord; manifest: Manifest } | undefined> {
  const record = await metadata.revision(repository, digest, options)
  const bytes = record === undefined ? undefined : await metadata.manifestBytes(digest, options)
  if (record === undefined || bytes === undefined) return undefined
  return { record, manifest: readManifest(bytes, record.mediaType) }
}
