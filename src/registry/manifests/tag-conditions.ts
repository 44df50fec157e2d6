import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions, Precondition } from '../ports.ts'
import type { PutManifestRequest } from '../registry.ts'

/**
 * What a manifest PUT may not do to tags: `If-None-Match` (RFC 9110, section 13.1.2), and tags that the caller cannot
 * move (CVE-2026-31801). Each tag concerned must still be what was found when the batch is applied, so of two that race
 * to create one, one wins.
 *
 * @throws {RegistryError} MANIFEST_CHANGED, or what `refuseMove` gives
 */
export async function tagConditions(
  registration: Registration,
  repository: string,
  digest: Digest,
  request: PutManifestRequest,
  options?: AbortOptions
): Promise<Precondition[]> {
  const { tags, ifNoneMatch, refuseMove } = request
  if (tags.length === 0) await refuseExisting(registration, repository, digest, request, options)
  const conditions: Precondition[] = []
  for (const tag of tags) {
    const refusal = refuseMove?.(tag)
    if (refusal === undefined && ifNoneMatch === undefined) continue
    const current = (await registration.metadata.tag(repository, tag, options))?.digest
    if (current !== undefined && (ifNoneMatch?.includes('*') || ifNoneMatch?.includes(current)))
      throw alreadyThere({ tag, current })
    if (refusal !== undefined && current !== undefined && current !== digest) throw refusal
    conditions.push({ type: 'tagIs', repository, tag, digest: current })
  }
  return conditions
}

/** Of a manifest that nothing but its digest names. Not atomic: two that race to create it bring the same bytes. */
async function refuseExisting(
  registration: Registration,
  repository: string,
  digest: Digest,
  { ifNoneMatch }: PutManifestRequest,
  options?: AbortOptions
): Promise<void> {
  if (!(ifNoneMatch?.includes('*') || ifNoneMatch?.includes(digest))) return
  if ((await registration.metadata.revision(repository, digest, options)) === undefined) return
  throw alreadyThere({ current: digest })
}

function alreadyThere(detail: { tag?: string; current: Digest }): RegistryError {
  return new RegistryError('MANIFEST_CHANGED', { message: 'If-None-Match names the current manifest', detail })
}
