import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { contended, maxRounds } from '../contended.ts'
import { type AbortOptions, type Mutation, type Precondition, PreconditionFailed } from '../ports.ts'
import type { RefuseMove } from '../registry.ts'

/** Tags that one commit takes away: a batch of a million would hold up everybody for seconds, and take gigabytes. */
export const maxTagsAtOnce = 2_000

export interface UntagOptions extends AbortOptions {
  refuseMove?: RefuseMove
}

/**
 * Takes tags away from a manifest that is about to be deleted until one commit can take the rest with it. None, when one of
 * them must stay. Stopped in between, it is a deletion of tags, and deleting the manifest again goes on with it.
 *
 * @throws {RegistryError} what `refuseMove` gives, UNAVAILABLE
 */
export async function untagMost(
  registration: Registration,
  repository: string,
  digest: Digest,
  { refuseMove, ...options }: UntagOptions = {}
): Promise<void> {
  const { metadata } = registration
  let left = 0
  for await (const tag of metadata.tagsOf(repository, digest, options)) {
    const refusal = refuseMove?.(tag)
    if (refusal !== undefined) throw refusal
    left++
  }
  for (let failures = 0; left > maxTagsAtOnce; ) {
    const tags = await firstTags(registration, repository, digest, options)
    if (tags.length < maxTagsAtOnce) return
    const at = registration.clock.now()
    const mutations = tags.map((tag): Mutation => ({ type: 'deleteTag', repository, tag, at }))
    const conditions = tags.map((tag): Precondition => ({ type: 'tagIs', repository, tag, digest }))
    try {
      // Durable with the commit that deletes the manifest: the log is one.
      await metadata.commit(mutations, conditions, { ...options, durable: false })
      left -= tags.length
    } catch (cause) {
      if (!(cause instanceof PreconditionFailed)) throw cause
      if (++failures === maxRounds)
        throw contended('the tags of the manifest keep being moved under this deletion', cause)
    }
  }
}

async function firstTags({ metadata }: Registration, repository: string, digest: Digest, options: AbortOptions) {
  const tags: string[] = []
  for await (const tag of metadata.tagsOf(repository, digest, options)) {
    tags.push(tag)
    if (tags.length === maxTagsAtOnce) break
  }
  return tags
}
