import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions, Precondition } from '../ports.ts'
import type { RefuseMove } from '../registry.ts'

/**
 * What must hold for a blob or manifest to be taken away from below the tags of its repository. Where nothing references it,
 * that is how it must stay. Elsewhere a tag that is set in this very moment at another manifest above it is not seen.
 *
 * @param refuseBelow - asked of every tag whose manifest needs the digest, straight or by an index; absent: no tag matters
 * @throws {RegistryError} what `refuseBelow` gives; UNAVAILABLE while it is not known which manifests name the digest
 */
export async function belowTagsConditions(
  registration: Registration,
  repository: string,
  digest: Digest,
  refuseBelow: RefuseMove | undefined,
  options?: AbortOptions
): Promise<Precondition[]> {
  if (refuseBelow === undefined) return []
  const referenced = await askTagsAbove(registration, repository, digest, refuseBelow, options)
  if (referenced) return []
  if ((await registration.metadata.referenceUpgrade(options)) !== undefined) throw upgrading()
  return [{ type: 'unreferenced', repository, digest }]
}

function upgrading(): RegistryError {
  const message = 'the manifests that an earlier version stored are still being read: try again in a minute'
  return new RegistryError('UNAVAILABLE', { message, headers: { 'Retry-After': '60' } })
}

/** Whether there is anything above. Each manifest is asked once: indexes of indexes have more ways up than members. */
async function askTagsAbove(
  { metadata }: Registration,
  repository: string,
  digest: Digest,
  refuseBelow: RefuseMove,
  options?: AbortOptions
): Promise<boolean> {
  const seen = new Set<Digest>()
  const pending = [digest]
  for (let below = pending.pop(); below !== undefined; below = pending.pop()) {
    for await (const parent of metadata.parents(repository, below, options)) {
      if (seen.has(parent)) continue
      seen.add(parent)
      pending.push(parent)
      for await (const tag of metadata.tagsOf(repository, parent, options)) {
        const refusal = refuseBelow(tag)
        if (refusal !== undefined) throw refusal
      }
    }
  }
  return seen.size > 0
}
