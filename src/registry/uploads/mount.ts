import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { completeParents } from '../images/complete.ts'
import { type AbortOptions, PreconditionFailed } from '../ports.ts'
import { fitting, refuseIfFull } from '../quotas/fitting.ts'
import type { BlobView } from '../registry.ts'

/** Repositories looked at for one that the caller may pull: a layer that everybody builds on is in all of them. */
const maxHolders = 10_000

/**
 * end-11, and anonymous mount: links a blob that a repository the caller may pull already holds. A miss looks the same
 * whether the blob is absent or private (CVE-2024-39897).
 *
 * @throws {RegistryError} BLOB_TOO_LARGE, QUOTA_EXCEEDED: pushing the bytes instead would end in the same
 */
export async function mountBlob(
  registration: Registration,
  repository: string,
  digest: Digest,
  from: string | undefined,
  mayPull: (repository: string) => boolean,
  options?: AbortOptions
): Promise<BlobView | undefined> {
  const { metadata, clock } = registration
  const record = await metadata.blob(digest, options)
  if (record === undefined) return undefined
  const source = await findSource(registration, digest, from, mayPull, options)
  if (source === undefined) return undefined
  const fits = fitting(registration, repository, { as: 'blob', digest, size: record.size })
  try {
    await metadata.commit(
      [{ type: 'putLink', repository, digest, record: { at: clock.now() } }],
      [{ type: 'blobExists', digest }, { type: 'linkExists', repository: source, digest }, ...fits],
      options
    )
  } catch (error) {
    if (!(error instanceof PreconditionFailed)) throw error
    await refuseIfFull(registration, error)
    return undefined
  }
  await completeParents(registration, repository, digest)
  return { digest, size: record.size, root: record.root }
}

async function findSource(
  registration: Registration,
  digest: Digest,
  from: string | undefined,
  mayPull: (repository: string) => boolean,
  options?: AbortOptions
): Promise<string | undefined> {
  const { metadata } = registration
  const holds = async (repository: string) =>
    mayPull(repository) && (await metadata.link(repository, digest, options)) !== undefined
  if (from !== undefined) return (await holds(from)) ? from : undefined
  let looked = 0
  for await (const holder of metadata.holders(digest, options)) {
    if (await holds(holder)) return holder
    if (++looked === maxHolders) return undefined
  }
  return undefined
}
