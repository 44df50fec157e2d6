import { RegistryError } from '../errors.ts'
import { type Digest, isDigestShaped, parseDigest } from './digest.ts'

/** `<name>` of the distribution specification, "Pulling manifests". */
const repositoryGrammar = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
/** `<tag>` of the distribution specification. */
const tagGrammar = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

/** Characters; many clients limit host and name together to 255. */
export const maxRepositoryLength = 255

export function isRepository(value: string): boolean {
  return value.length > 0 && value.length <= maxRepositoryLength && repositoryGrammar.test(value)
}

export function isTag(value: string): boolean {
  return tagGrammar.test(value)
}

/** @throws {RegistryError} NAME_INVALID */
export function parseRepository(value: string): string {
  if (isRepository(value)) return value
  const message =
    value.length > maxRepositoryLength
      ? `invalid repository name: longer than ${maxRepositoryLength} characters`
      : 'invalid repository name: use lower-case letters, digits and the separators . _ __ - between them, parts joined by /'
  throw new RegistryError('NAME_INVALID', { message, detail: { name: value.slice(0, maxRepositoryLength) } })
}

/** @throws {RegistryError} TAG_INVALID */
export function parseTag(value: string): string {
  if (isTag(value)) return value
  throw new RegistryError('TAG_INVALID', {
    message: 'invalid tag: 1 to 128 letters, digits, _ . - and not starting with . or -',
    detail: { tag: value.slice(0, 130) }
  })
}

/** What a manifest request names: a tag or a digest, nothing else. */
export type ManifestReference = { tag: string } | { digest: Digest }

/** @throws {RegistryError} DIGEST_INVALID for something with a colon, TAG_INVALID otherwise */
export function parseManifestReference(value: string): ManifestReference {
  // A tag never holds a colon, so a colon means that a digest was meant.
  if (isDigestShaped(value) || value.includes(':')) return { digest: parseDigest(value) }
  return { tag: parseTag(value) }
}

/** `name`, `name:tag` or `name@digest` as people type them for a node's own repositories (no host, tag default `latest`). */
export function parseImageName(value: string): { repository: string; reference: ManifestReference } {
  const at = value.indexOf('@')
  if (at >= 0) {
    const name = value.slice(0, at)
    const colon = name.lastIndexOf(':')
    const repository = parseRepository(colon > name.lastIndexOf('/') ? name.slice(0, colon) : name)
    return { repository, reference: { digest: parseDigest(value.slice(at + 1)) } }
  }
  const colon = value.lastIndexOf(':')
  if (colon > value.lastIndexOf('/')) {
    return { repository: parseRepository(value.slice(0, colon)), reference: { tag: parseTag(value.slice(colon + 1)) } }
  }
  return { repository: parseRepository(value), reference: { tag: 'latest' } }
}
