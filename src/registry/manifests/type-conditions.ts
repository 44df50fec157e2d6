import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions, Precondition } from '../ports.ts'
import type { PutManifestRequest } from '../registry.ts'

/**
 * What a manifest PUT may not do to the media type of a manifest that is there. Many manifests do not name their own, and
 * clients go by what the registry says: the same bytes under another one are another thing to whoever pulls them. So it
 * stays for those who may move no tag (CVE-2026-31801), and for everybody where a tag points at it that nobody may move.
 *
 * @throws {RegistryError} what `refuseRetype` or `refuseMove` gives
 */
export async function typeConditions(
  { metadata }: Registration,
  repository: string,
  digest: Digest,
  mediaType: string,
  { refuseMove, refuseRetype }: PutManifestRequest,
  options?: AbortOptions
): Promise<Precondition[]> {
  if (refuseMove === undefined && refuseRetype === undefined) return []
  const current = (await metadata.revision(repository, digest, options))?.mediaType
  const same: Precondition = { type: 'revisionIs', repository, digest, mediaType: current }
  if (current === undefined || current === mediaType) return [same]
  const refusal = refuseRetype?.(current)
  if (refusal !== undefined) throw refusal
  const tags: string[] = []
  for await (const tag of metadata.tagsOf(repository, digest, options)) {
    const immovable = refuseMove?.(tag)
    if (immovable !== undefined) throw immovable
    tags.push(tag)
  }
  return [same, { type: 'untagged', repository, digest, except: tags }]
}
