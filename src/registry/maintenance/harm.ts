import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions } from '../ports.ts'

/** Images named at most for one damaged blob. */
const maxNames = 1_000

/** Names of the images that need a blob or manifest: every tag that leads to it, or the untagged manifest at the top. */
export async function harmedImages(
  registration: Registration,
  digest: Digest,
  options?: AbortOptions
): Promise<string[]> {
  const names = new Set<string>()
  for await (const repository of registration.metadata.holders(digest, options)) {
    await climb(registration, repository, digest, names, new Set(), options)
    if (names.size >= maxNames) break
  }
  return [...names].sort()
}

async function climb(
  registration: Registration,
  repository: string,
  digest: Digest,
  names: Set<string>,
  seen: Set<Digest>,
  options?: AbortOptions
): Promise<void> {
  if (seen.has(digest) || names.size >= maxNames) return
  seen.add(digest)
  let above = false
  for await (const tag of registration.metadata.tagsOf(repository, digest, options)) {
    names.add(`${repository}:${tag}`)
    above = true
  }
  for await (const parent of registration.metadata.parents(repository, digest, options)) {
    above = true
    await climb(registration, repository, parent, names, seen, options)
  }
  if (!above && (await registration.metadata.revision(repository, digest, options)) !== undefined)
    names.add(`${repository}@${digest}`)
}
