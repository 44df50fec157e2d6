import { RegistryError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Registration } from './components.ts'
import type { ReferrerDescriptor } from './ports.ts'
import type { Page, PageRequest } from './registry.ts'

/** end-8. */
export async function listTags(
  registration: Registration,
  repository: string,
  page: PageRequest
): Promise<Page<string>> {
  // Only the signal: `after` says where the page starts, not where the repository does.
  const abortable = page.signal === undefined ? {} : { signal: page.signal }
  if (!(await registration.metadata.repositoryExists(repository, abortable))) {
    throw new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
  }
  return cut(
    registration.metadata.tags(repository, page),
    page.limit,
    entry => entry.tag,
    tag => tag.tag
  )
}

/** `_catalog`. */
export async function listRepositories(
  registration: Registration,
  page: PageRequest,
  visible: (repository: string) => boolean
): Promise<Page<string>> {
  const names = only(registration.metadata.repositories(page), visible)
  return cut(
    names,
    page.limit,
    name => name,
    name => name
  )
}

/** end-12: an empty page for a subject nobody refers to, whether it exists or not. */
export async function listReferrers(
  registration: Registration,
  repository: string,
  subject: Digest,
  page: PageRequest & { artifactType?: string }
): Promise<Page<ReferrerDescriptor>> {
  const { artifactType } = page
  const all = registration.metadata.referrers(repository, subject, page)
  const wanted = artifactType === undefined ? all : only(all, descriptor => descriptor.artifactType === artifactType)
  return cut(
    wanted,
    page.limit,
    descriptor => descriptor,
    descriptor => descriptor.digest
  )
}

async function* only<T>(items: AsyncIterable<T>, wanted: (item: T) => boolean): AsyncGenerator<T> {
  for await (const item of items) if (wanted(item)) yield item
}

/** The first `limit` items, and where the next page starts if there is one. */
async function cut<S, T>(
  items: AsyncIterable<S>,
  limit: number,
  value: (item: S) => T,
  key: (item: S) => string
): Promise<Page<T>> {
  const page: T[] = []
  if (limit <= 0) return { items: page }
  let last = ''
  for await (const item of items) {
    if (page.length === limit) return { items: page, next: last }
    page.push(value(item))
    last = key(item)
  }
  return { items: page }
}
