import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions, Precondition } from '../ports.ts'
import type { IfMatch, PutManifestRequest } from '../registry.ts'

/**
 * `If-Match` (RFC 9110, section 13.1.1) on a manifest PUT: what each tag currently names must be one of the listed
 * digests, and still be so when the batch is applied.
 *
 * @throws {RegistryError} MANIFEST_CHANGED
 */
export async function ifMatchConditions(
  registration: Registration,
  repository: string,
  digest: Digest,
  request: PutManifestRequest,
  options?: AbortOptions
): Promise<Precondition[]> {
  const { ifMatch, tags } = request
  if (ifMatch === undefined) return []
  if (tags.length === 0) return byDigest(registration, repository, digest, ifMatch, options)
  const conditions: Precondition[] = []
  for (const tag of tags) {
    const current = (await registration.metadata.tag(repository, tag, options))?.digest
    if (current === undefined || !matches(ifMatch, current)) throw changed({ tag, current: current ?? null })
    conditions.push({ type: 'tagIs', repository, tag, digest: current })
  }
  return conditions
}

async function byDigest(
  registration: Registration,
  repository: string,
  digest: Digest,
  ifMatch: IfMatch,
  options?: AbortOptions
): Promise<Precondition[]> {
  const exists = (await registration.metadata.revision(repository, digest, options)) !== undefined
  if (!exists || !matches(ifMatch, digest)) throw changed({ current: exists ? digest : null })
  return [{ type: 'revisionExists', repository, digest }]
}

/** Whether what is there now is one of those listed. */
export function matches(ifMatch: IfMatch, current: Digest): boolean {
  return ifMatch.includes('*') || ifMatch.includes(current)
}

export function changed(detail: { tag?: string; current: Digest | null }): RegistryError {
  return new RegistryError('MANIFEST_CHANGED', { detail })
}
