import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions } from '../ports.ts'
import type { BlobView } from '../registry.ts'
import { touchLink } from './touch-link.ts'

/** end-2 HEAD: what a client reads as "no need to upload", so the link's grace period starts anew. */
export async function statBlob(
  registration: Registration,
  repository: string,
  digest: Digest,
  options?: AbortOptions
): Promise<BlobView> {
  const { metadata } = registration
  const [link, record] = await Promise.all([metadata.link(repository, digest, options), metadata.blob(digest, options)])
  if (link === undefined || record === undefined) throw blobUnknown(digest)
  await touchLink(registration, repository, digest, link)
  return { digest, size: record.size, root: record.root }
}

export function blobUnknown(digest: Digest): RegistryError {
  return new RegistryError('BLOB_UNKNOWN', { detail: { digest } })
}
