import type { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions } from '../ports.ts'
import { blobTooLarge, repositoryFull } from './refusals.ts'

/** How large an upload to a repository may become, as far as can be told before it is there. */
export interface BodyLimit {
  /** Bytes. */
  most: number
  /** @param size bytes the upload would have, where that is known */
  refusal(size?: number): RegistryError
}

/**
 * Looked at before a body is read and while it comes. What decides is the commit's condition (`fitting`), exact however
 * many push at once; this keeps bytes that cannot be kept from being sent.
 *
 * @param digest where the client named it already: what the repository holds may be pushed again at any time
 */
export async function bodyLimit(
  registration: Registration,
  repository: string,
  digest: Digest | undefined,
  options?: AbortOptions
): Promise<BodyLimit | undefined> {
  const { metadata, init } = registration
  const quota = init.quotaOf?.(repository)
  if (quota === undefined) return undefined
  const { blob = Number.POSITIVE_INFINITY, size: limit } = quota
  const held = digest !== undefined && (await metadata.link(repository, digest, options)) !== undefined
  const used = limit === undefined || held ? 0 : await metadata.usage(repository, options)
  const room = limit === undefined || held ? Number.POSITIVE_INFINITY : Math.max(0, limit - used)
  return {
    most: Math.min(blob, room),
    refusal: size => {
      const tooLarge = limit === undefined || blob <= room || (size !== undefined && size > blob)
      return tooLarge ? blobTooLarge(quota, blob, size) : repositoryFull(quota, { repository, limit, used, size })
    }
  }
}
