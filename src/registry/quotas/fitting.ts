import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import type { Precondition, PreconditionFailed } from '../ports.ts'
import { blobTooLarge, repositoryFull } from './refusals.ts'

/** A blob or manifest about to become a repository's. */
export interface Newcomer {
  as: 'blob' | 'manifest'
  digest: Digest
  /** Bytes. */
  size: number
}

type Bounded = Pick<Registration, 'metadata' | 'init'>

/**
 * Conditions of the commit that makes it the repository's, whichever way it comes: push, mount or fetch.
 *
 * @throws {RegistryError} BLOB_TOO_LARGE
 */
export function fitting({ init }: Bounded, repository: string, newcomer: Newcomer): Precondition[] {
  const quota = init.quotaOf?.(repository)
  if (quota === undefined) return []
  const { blob, size: limit } = quota
  if (newcomer.as === 'blob' && blob !== undefined && newcomer.size > blob)
    throw blobTooLarge(quota, blob, newcomer.size)
  return limit === undefined ? [] : [{ type: 'fits', repository, ...newcomer, limit }]
}

/**
 * When a commit failed on the quota and on nothing else.
 *
 * @throws {RegistryError} QUOTA_EXCEEDED
 */
export async function refuseIfFull({ metadata, init }: Bounded, error: PreconditionFailed): Promise<void> {
  const [first] = error.failed
  if (first?.type !== 'fits' || error.failed.some(condition => condition.type !== 'fits')) return
  const { repository, limit, size } = first
  const quota = init.quotaOf?.(repository)
  if (quota !== undefined)
    throw repositoryFull(quota, { repository, limit, used: await metadata.usage(repository), size })
}
