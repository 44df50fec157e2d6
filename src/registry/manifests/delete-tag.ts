import type { Registration } from '../components.ts'
import { type AbortOptions, PreconditionFailed } from '../ports.ts'
import { manifestUnknown } from './get.ts'

/** end-9 by tag: the manifest stays under its digest. */
export async function deleteTag(
  registration: Registration,
  repository: string,
  tag: string,
  options?: AbortOptions
): Promise<void> {
  try {
    await registration.metadata.commit(
      [{ type: 'deleteTag', repository, tag }],
      [{ type: 'tagIs', repository, tag, digest: 'any' }],
      options
    )
  } catch (error) {
    if (error instanceof PreconditionFailed) throw await manifestUnknown(registration, repository, { tag }, options)
    throw error
  }
}
