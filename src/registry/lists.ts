import { randomInt } from 'node:crypto'
import { RegistryError } from '../errors.ts'
import type { WellFormedDigest } from '../oci/digest.ts'
import type { Registration } from './components.ts'
import { maxLooks, pageOf } from './page-of.ts'
import type { ReferrerDescriptor, RepositoryOptions } from './ports.ts'
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
  return pageOf(registration.metadata.tags(repository, page), page, { key: ({ tag }) => tag, value: ({ tag }) => tag })
}

/** `_catalog`. */
export async function listRepositories(
  registration: Registration,
  page: PageRequest & Pick<RepositoryOptions, 'under'>,
  visible: (repository: string) => boolean
): Promise<Page<string>> {
  return pageOf(registration.metadata.repositories(page), page, {
    key: name => name,
    value: name => name,
    wanted: visible,
    // With a fixed number the answer would change just where somebody's `last` passes a hidden name, and so spell it.
    looks: maxLooks - randomInt(maxLooks / 2)
  })
}

/** end-12: an empty page for a subject nobody refers to, whether it exists or not. */
export async function listReferrers(
  registration: Registration,
  repository: string,
  subject: WellFormedDigest,
  page: PageRequest & { artifactType?: string }
): Promise<Page<ReferrerDescriptor>> {
  const { artifactType } = page
  return pageOf(registration.metadata.referrers(repository, subject, page), page, {
    key: ({ digest }) => digest,
    value: descriptor => descriptor,
    // Annotations have no bound of their own.
    size: descriptor => Buffer.byteLength(JSON.stringify(descriptor)) + 1,
    ...(artifactType === undefined ? {} : { wanted: descriptor => isType(descriptor.artifactType, artifactType) })
  })
}

/** A query means both `+` and a space by a bare `+`: of `application/spdx+json` and `text/x; v=1` either may be asked for. */
function isType(type: string | undefined, asked: string): boolean {
  return type === asked || type?.replaceAll(' ', '+') === asked.replaceAll(' ', '+')
}
