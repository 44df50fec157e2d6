import type { Digest } from '../../oci/digest.ts'
import { readManifest } from '../../oci/manifest.ts'
import { blockMultihashes } from '../blobs/leaves.ts'
import type { Registration } from '../components.ts'
import { contended, maxRounds } from '../contended.ts'
import { dropImage, reviseImages } from '../images/revise.ts'
import {
  type AbortOptions,
  type Mutation,
  type Precondition,
  PreconditionFailed,
  type RevisionRecord
} from '../ports.ts'
import type { IfMatch, RefuseMove } from '../registry.ts'
import { belowTagsConditions } from './below-tags.ts'
import { lookUpManifest, manifestUnknown } from './get.ts'
import { changed, matches } from './if-match.ts'
import { leafHashes } from './leaf-hashes.ts'
import { type UntagOptions, untagMost } from './untag.ts'

/**
 * end-9 by digest: the manifest leaves the repository, and every tag that points at it, in one batch unless there are
 * thousands of them. Its referrers stay.
 *
 * @throws {RegistryError} MANIFEST_UNKNOWN, MANIFEST_CHANGED, what `refuseMove` gives for one of the tags or `refuseBelow` for
 *   one above it, UNAVAILABLE
 */
export async function deleteManifest(
  registration: Registration,
  repository: string,
  digest: Digest,
  { ifMatch, refuseBelow, ...options }: UntagOptions & { refuseBelow?: RefuseMove; ifMatch?: IfMatch } = {}
): Promise<void> {
  // What a digest names never changes: either it can match or not.
  if (ifMatch !== undefined && !matches(ifMatch, digest)) {
    const { digest: current } = await lookUpManifest(registration, repository, { digest }, options)
    throw changed({ current })
  }
  // Before any tag goes: it may be refused.
  await belowTagsConditions(registration, repository, digest, refuseBelow, options)
  await untagMost(registration, repository, digest, options)
  await releaseReferrers(registration, repository, digest, options)
  for (let round = 1; round <= maxRounds; round++) {
    const conditions = await belowTagsConditions(registration, repository, digest, refuseBelow, options)
    if (await removeRevision(registration, repository, digest, conditions, { ...options, release: true })) return
    if ((await readRevision(registration, repository, digest, options)) === undefined) {
      throw await manifestUnknown(registration, repository, { digest }, options)
    }
  }
  throw contended('the manifest keeps being tagged under this deletion')
}

/**
 * `false` when there is no such manifest, a condition does not hold, or it was tagged meanwhile.
 *
 * @param options - `release`: what the manifest named counts as used until now. Default: as before, for what goes with it
 */
export async function removeRevision(
  registration: Registration,
  repository: string,
  digest: Digest,
  conditions: Precondition[],
  options?: UntagOptions & { release?: boolean }
): Promise<boolean> {
  const { metadata } = registration
  const found = await readRevision(registration, repository, digest, options)
  if (found === undefined) return false
  const { revision, bytes } = found
  const at = registration.clock.now()
  const mutations: Mutation[] = [{ type: 'deleteRevision', repository, digest }]
  const tags: string[] = []
  for await (const tag of metadata.tagsOf(repository, digest, options)) {
    const refusal = options?.refuseMove?.(tag)
    if (refusal !== undefined) throw refusal
    tags.push(tag)
    mutations.push({ type: 'deleteTag', repository, tag, at })
  }
  mutations.push(
    ...(bytes === undefined
      ? await namedInIndexes(registration, repository, digest, options)
      : namedIn(repository, digest, bytes, revision))
  )
  if (options?.release === true) mutations.push(...released(mutations, at))
  try {
    await metadata.commit(
      mutations,
      [
        { type: 'revisionExists', repository, digest },
        // One set since then would be left pointing at nothing, or be one that nobody may take away.
        { type: 'untagged', repository, digest, except: tags },
        // One moved since then is another manifest's.
        ...tags.map((tag): Precondition => ({ type: 'tagIs', repository, tag, digest })),
        ...conditions
      ],
      options
    )
  } catch (error) {
    if (error instanceof PreconditionFailed) return false
    throw error
  }
  // The deletion is done, whether or not somebody still waits for it.
  await reviseImages(registration, repository, digest)
  await reapManifest(registration, digest)
  return true
}

/** Referrers in one commit. */
const referrersAtOnce = 1_000

/** They stay when their subject goes, and count as used until then. Durable with the deletion: the log is one. */
async function releaseReferrers(
  { metadata, clock }: Registration,
  repository: string,
  subject: Digest,
  { signal }: AbortOptions
): Promise<void> {
  const abort = signal === undefined ? {} : { signal }
  const at = clock.now()
  let some: Mutation[] = []
  const write = async () => {
    if (some.length > 0) await metadata.commit(some, [], { ...abort, durable: false })
    some = []
  }
  for await (const { digest } of metadata.referrers(repository, subject, abort)) {
    some.push({ type: 'useRevision', repository, digest, at })
    if (some.length === referrersAtOnce) await write()
  }
  await write()
}

async function readRevision({ metadata }: Registration, repository: string, digest: Digest, options?: AbortOptions) {
  const [revision, bytes] = await Promise.all([
    metadata.revision(repository, digest, options),
    metadata.manifestBytes(digest, options)
  ])
  return revision === undefined ? undefined : { revision, bytes }
}

/** What a manifest that goes by itself named counts as used until then. */
function released(mutations: readonly Mutation[], at: number): Mutation[] {
  const references = mutations.filter(mutation => mutation.type === 'deleteReference')
  return references.map(({ repository, child }): Mutation => ({ type: 'useRevision', repository, digest: child, at }))
}

/** What the manifest's PUT wrote besides the manifest itself. */
function namedIn(repository: string, digest: Digest, bytes: Uint8Array, { mediaType }: RevisionRecord): Mutation[] {
  const { names, subject } = readManifest(bytes, mediaType)
  const mutations: Mutation[] = []
  for (const child of names) mutations.push({ type: 'deleteReference', repository, child, parent: digest })
  if (subject !== undefined) mutations.push({ type: 'deleteReferrer', repository, subject, digest })
  return mutations
}

/** The same of a manifest whose bytes are lost: both indexes of the repository are gone through for it. */
async function namedInIndexes(
  { metadata }: Registration,
  repository: string,
  digest: Digest,
  options?: AbortOptions
): Promise<Mutation[]> {
  const mutations: Mutation[] = []
  for await (const { child, parent } of metadata.references(repository, options))
    if (parent === digest) mutations.push({ type: 'deleteReference', repository, child, parent })
  for await (const { subject, digest: referrer } of metadata.referrals(repository, options))
    if (referrer === digest) mutations.push({ type: 'deleteReferrer', repository, subject, digest })
  return mutations
}

/** Frees a manifest's bytes and image when no repository holds it; GC repeats it for what a crash left. */
export async function reapManifest(
  registration: Registration,
  digest: Digest,
  options?: AbortOptions
): Promise<boolean> {
  const { metadata, dags } = registration
  const bytes = await metadata.manifestBytes(digest, options)
  if (bytes === undefined) return false
  const { root } = dags.file({ size: bytes.length, leaves: leafHashes(bytes) })
  const image = await metadata.image(digest, options)
  const mutations: Mutation[] = [
    { type: 'deleteManifest', digest },
    {
      type: 'deleteBlocks',
      home: `manifest:${digest}`,
      multihashes: await blockMultihashes(registration, { root }, options)
    },
    ...(image === undefined ? [] : await dropImage(registration, digest, image, options))
  ]
  try {
    await metadata.commit(mutations, [{ type: 'unlinked', digest }], options)
    return true
  } catch (error) {
    if (error instanceof PreconditionFailed) return false
    throw error
  }
}
