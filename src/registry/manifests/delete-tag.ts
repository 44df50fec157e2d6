import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { contended, maxRounds } from '../contended.ts'
import { type AbortOptions, type Mutation, type Precondition, PreconditionFailed } from '../ports.ts'
import type { IfMatch } from '../registry.ts'
import { manifestUnknown } from './get.ts'
import { changed, matches } from './if-match.ts'

export interface DeleteTagOptions extends AbortOptions {
  /** What the tag has to name when it goes. */
  ifMatch?: IfMatch
}

/** end-9 by tag: the manifest stays under its digest. @throws {RegistryError} MANIFEST_UNKNOWN, MANIFEST_CHANGED, UNAVAILABLE */
export async function deleteTag(
  registration: Registration,
  repository: string,
  tag: string,
  options: DeleteTagOptions = {}
): Promise<void> {
  const { ifMatch, ...abort } = options
  for (let round = 1; round <= maxRounds; round++) {
    const digest = ifMatch === undefined ? 'any' : await matching(registration, repository, tag, ifMatch, abort)
    const condition: Precondition = { type: 'tagIs', repository, tag, digest }
    const mutation: Mutation = { type: 'deleteTag', repository, tag, at: registration.clock.now() }
    try {
      return await registration.metadata.commit([mutation], [condition], abort)
    } catch (error) {
      if (!(error instanceof PreconditionFailed)) throw error
      if (ifMatch === undefined) throw await manifestUnknown(registration, repository, { tag }, abort)
    }
  }
  throw contended('the tag keeps being moved under this deletion')
}

/** What the tag names now, which is one of those listed. */
async function matching(
  registration: Registration,
  repository: string,
  tag: string,
  ifMatch: IfMatch,
  options: AbortOptions
): Promise<Digest> {
  const current = (await registration.metadata.tag(repository, tag, options))?.digest
  if (current === undefined) throw await manifestUnknown(registration, repository, { tag }, options)
  if (!matches(ifMatch, current)) throw changed({ tag, current })
  return current
}
