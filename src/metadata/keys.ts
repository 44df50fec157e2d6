/**
 * Every key of the database, in one place. Readable text, parts separated by NUL: no part (digest, repository, tag,
 * upload id, hex) can contain one, and NUL sorts below every other byte, so the byte order of keys is the byte order
 * of their parts, part by part.
 *
 * @module
 */
import type { Digest, WellFormedDigest } from '../oci/digest.ts'
import type { BlockHome, LossKind } from '../registry/ports.ts'

const NUL = '\0'
/** The first byte above the separator: with it a prefix becomes the bound below which all its keys lie. */
const ABOVE = '\x01'

/** Keys with a common beginning, both bounds exclusive. */
export interface KeyRange {
  gt: string
  lt: string
}

/** Families whose keys name a repository first; a repository exists while any of them has a key for it. */
export const repositoryFamilies = ['links', 'revisions', 'tags'] as const
export type RepositoryFamily = (typeof repositoryFamilies)[number]

export const keys = {
  schema: `meta${NUL}schema`,
  referenceUpgrade: `meta${NUL}references`,
  blob: (digest: Digest): string => `blobs${NUL}${digest}`,
  block: (multihash: string, home: BlockHome): string => `blocks${NUL}${multihash}${NUL}${home}`,
  node: (multihash: string): string => `nodes${NUL}${multihash}`,
  link: (repository: string, digest: Digest): string => `links${NUL}${repository}${NUL}${digest}`,
  holder: (digest: Digest, repository: string): string => `repos${NUL}${digest}${NUL}${repository}`,
  manifest: (digest: Digest): string => `manifests${NUL}${digest}`,
  revision: (repository: string, digest: WellFormedDigest): string => `revisions${NUL}${repository}${NUL}${digest}`,
  tag: (repository: string, tag: string): string => `tags${NUL}${repository}${NUL}${tag}`,
  tagged: (repository: string, digest: Digest, tag: string): string =>
    `tagged${NUL}${repository}${NUL}${digest}${NUL}${tag}`,
  reference: (repository: string, child: Digest, parent: Digest): string =>
    `refs${NUL}${repository}${NUL}${child}${NUL}${parent}`,
  referrer: (repository: string, subject: WellFormedDigest, digest: Digest): string =>
    `referrers${NUL}${repository}${NUL}${subject}${NUL}${digest}`,
  image: (digest: Digest): string => `images${NUL}${digest}`,
  usage: (repository: string): string => `usage${NUL}${repository}`,
  upload: (id: string): string => `uploads${NUL}${id}`,
  token: (id: string): string => `tokens${NUL}${id}`,
  unplaced: (digest: Digest): string => `unplaced${NUL}${digest}`,
  doomed: (digest: Digest): string => `doomed${NUL}${digest}`,
  loss: (kind: LossKind, digest: Digest): string => `lost${NUL}${kind}${NUL}${digest}`,
  lossCount: (kind: LossKind): string => `losses${NUL}${kind}`
} as const

/** What the keys of a list begin with, the separator included; the rest of a key is the listed item. */
export const prefixes = {
  blobs: `blobs${NUL}`,
  manifests: `manifests${NUL}`,
  uploads: `uploads${NUL}`,
  tokens: `tokens${NUL}`,
  usage: `usage${NUL}`,
  unplaced: `unplaced${NUL}`,
  doomed: `doomed${NUL}`,
  losses: (kind: LossKind): string => `lost${NUL}${kind}${NUL}`,
  homes: (multihash: string): string => `blocks${NUL}${multihash}${NUL}`,
  holders: (digest: Digest): string => `repos${NUL}${digest}${NUL}`,
  links: (repository: string): string => `links${NUL}${repository}${NUL}`,
  revisions: (repository: string): string => `revisions${NUL}${repository}${NUL}`,
  tags: (repository: string): string => `tags${NUL}${repository}${NUL}`,
  tagged: (repository: string, digest: Digest): string => `tagged${NUL}${repository}${NUL}${digest}${NUL}`,
  references: (repository: string, child: Digest): string => `refs${NUL}${repository}${NUL}${child}${NUL}`,
  referencesIn: (repository: string): string => `refs${NUL}${repository}${NUL}`,
  referrersIn: (repository: string): string => `referrers${NUL}${repository}${NUL}`,
  referrers: (repository: string, subject: WellFormedDigest): string =>
    `referrers${NUL}${repository}${NUL}${subject}${NUL}`,
  repository: (family: RepositoryFamily, repository: string): string => `${family}${NUL}${repository}${NUL}`
} as const

/** Keys that begin with `prefix` and whose rest sorts after `after`. */
export function rangeOf(prefix: string, after = ''): KeyRange {
  return { gt: prefix + after, lt: prefix.slice(0, -1) + ABOVE }
}

/**
 * Keys of a family above a position among its repositories: the empty one is before all, a name is before the repository
 * of that name and all that begin with it, {@link endOf} a name is behind what that one repository holds.
 */
export function repositoriesAbove(family: RepositoryFamily, position: string): KeyRange {
  return { gt: family + NUL + position, lt: family + ABOVE }
}

export function endOf(repository: string): string {
  return repository + ABOVE
}

/** Whether {@link repositoriesAbove} the position has this repository's keys. */
export function isAbove(repository: string, position: string): boolean {
  return repository + NUL > position
}

/** The repository that a key of a {@link RepositoryFamily} names. */
export function repositoryOf(family: RepositoryFamily, key: string): string {
  const start = family.length + 1
  return key.slice(start, key.indexOf(NUL, start))
}

/**
 * The prefix under which a pending change must be counted, for the families of which somebody asks "is there any left
 * under this prefix?" before the change is in the database.
 */
export function countedPrefix(key: string): string | undefined {
  if (!/^(?:blocks|repos|refs|tagged)\0/.test(key)) return undefined
  return key.slice(0, key.lastIndexOf(NUL) + 1)
}

export function hexOf(multihash: Uint8Array): string {
  return Buffer.from(multihash.buffer, multihash.byteOffset, multihash.byteLength).toString('hex')
}
