import { RegistryError } from '../../errors.ts'
import type { Registration } from '../components.ts'
import { contended, maxRounds } from '../contended.ts'
import { maxTagsAtOnce } from '../manifests/untag.ts'
import { type AbortOptions, type Mutation, type Precondition, PreconditionFailed, type TagRecord } from '../ports.ts'
import type { RepositoryRemoval, RepositoryRemovalPlan } from '../registry.ts'
import { unsparingRun } from './remove-tag.ts'
import { sweepLinks } from './sweep-blobs.ts'
import { sweepManifests } from './sweep-manifests.ts'

export async function planRepositoryRemoval(
  registration: Registration,
  repository: string,
  options: AbortOptions = {}
): Promise<RepositoryRemovalPlan> {
  const { metadata } = registration
  await demandRepository(registration, repository, options)
  const plan = { tags: 0, manifests: 0, bytes: await metadata.usage(repository, options) }
  for await (const _tag of metadata.tags(repository, options)) plan.tags++
  for await (const _revision of metadata.revisions(repository, options)) plan.manifests++
  return plan
}

/**
 * Tags first: what is then left is what nothing leads to, so manifests go from the top down and no index is ever left
 * without its children by this. Blobs that a manifest pushed meanwhile needs stay linked.
 */
export async function removeRepository(
  registration: Registration,
  repository: string,
  options: AbortOptions & { onProgress?: (done: Readonly<RepositoryRemoval>) => void } = {}
): Promise<RepositoryRemoval> {
  const { onProgress, ...abort } = options
  await demandRepository(registration, repository, abort)
  const removal: RepositoryRemoval = { tags: 0, manifests: 0, links: 0 }
  const run = unsparingRun(registration, repository, abort)
  const advance = () => {
    removal.manifests = run.report.manifests
    removal.links = run.report.links
    onProgress?.(removal)
  }
  run.options.onProgress = advance
  run.onManifest = advance
  await removeTags(
    registration,
    repository,
    count => {
      removal.tags += count
      advance()
    },
    abort
  )
  await sweepManifests(run)
  await sweepManifests({ ...run, cycles: true })
  await sweepLinks(run)
  advance()
  return removal
}

async function demandRepository({ metadata }: Registration, repository: string, options: AbortOptions): Promise<void> {
  if (!(await metadata.repositoryExists(repository, options)))
    throw new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
}

async function removeTags(
  registration: Registration,
  repository: string,
  removed: (count: number) => void,
  options: AbortOptions
): Promise<void> {
  let some: { tag: string; record: TagRecord }[] = []
  for await (const tag of registration.metadata.tags(repository, options)) {
    some.push(tag)
    if (some.length < maxTagsAtOnce) continue
    removed(await removeSome(registration, repository, some, options))
    some = []
  }
  removed(await removeSome(registration, repository, some, options))
}

/** Tags as they were read; one that was moved since is read again. */
async function removeSome(
  { metadata, clock }: Registration,
  repository: string,
  tags: readonly { tag: string; record: TagRecord }[],
  options: AbortOptions
): Promise<number> {
  let left = tags
  for (let round = 1; left.length > 0; round++) {
    const at = clock.now()
    const mutations = left.map(({ tag }): Mutation => ({ type: 'deleteTag', repository, tag, at }))
    const conditions = left.map(
      ({ tag, record }): Precondition => ({ type: 'tagIs', repository, tag, digest: record.digest })
    )
    try {
      await metadata.commit(mutations, conditions, options)
      return left.length
    } catch (error) {
      if (!(error instanceof PreconditionFailed)) throw error
      if (round === maxRounds) throw contended('the tags of the repository keep being moved under this removal', error)
      const again = await Promise.all(
        left.map(async ({ tag }) => ({ tag, record: await metadata.tag(repository, tag) }))
      )
      left = again.filter((found): found is { tag: string; record: TagRecord } => found.record !== undefined)
    }
  }
  return 0
}
