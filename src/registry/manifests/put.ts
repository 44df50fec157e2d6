import { RegistryError } from '../../errors.ts'
import { algorithmOf, type Digest, digestOf } from '../../oci/digest.ts'
import {
  type Manifest,
  maxManifestSize,
  parseManifest,
  refuseDeepNesting,
  refuseManyNames,
  refuseRepeatedNames
} from '../../oci/manifest.ts'
import type { Registration } from '../components.ts'
import { contended, maxRounds } from '../contended.ts'
import { buildImage, completeParents } from '../images/complete.ts'
import { imageManifest } from '../images/members.ts'
import { type AbortOptions, type ImageRecord, type Mutation, type Precondition, PreconditionFailed } from '../ports.ts'
import { fitting, refuseIfFull } from '../quotas/fitting.ts'
import type { PutManifestRequest, PutManifestResult } from '../registry.ts'
import { checkReferences } from './check.ts'
import { checkUrls } from './check-urls.ts'
import { ifMatchConditions } from './if-match.ts'
import { leafHashes } from './leaf-hashes.ts'
import { referrerDescriptor } from './referrer-descriptor.ts'
import { tagConditions } from './tag-conditions.ts'
import { typeConditions } from './type-conditions.ts'

/** end-7: stores the bytes as they are, links, referrer, tags and image CID in one durable batch. */
export async function putManifest(
  registration: Registration,
  repository: string,
  request: PutManifestRequest,
  options?: AbortOptions
): Promise<PutManifestResult> {
  const { bytes } = request
  if (bytes.length > maxManifestSize)
    throw new RegistryError('MANIFEST_TOO_LARGE', { detail: { limit: maxManifestSize } })
  const digest = checkDigest(request)
  refuseDeepNesting(bytes)
  const manifest = parseManifest(bytes, request.mediaType)
  refuseRepeatedNames(bytes)
  refuseManyNames(manifest)
  checkUrls(registration.init.urls, bytes)
  await registration.room?.admit(bytes.length)
  const mediaType = request.mediaType === '' ? manifest.mediaType : request.mediaType
  for (let round = 1; ; round++) {
    const conditions = [
      ...(await ifMatchConditions(registration, repository, digest, request, options)),
      ...(await tagConditions(registration, repository, digest, request, options)),
      ...(await typeConditions(registration, repository, digest, mediaType, request, options)),
      ...(await checkReferences(registration, repository, manifest, options)),
      ...fitting(registration, repository, { as: 'manifest', digest, size: bytes.length })
    ]
    const built = await imageOf(registration, repository, digest, bytes, options)
    const mutations = [
      ...storeMutations(registration, repository, digest, manifest, mediaType, request),
      ...(built?.mutations ?? [])
    ]
    if (await commitUnlessChanged(registration, mutations, conditions, round, options)) {
      if (built !== undefined) registration.stored?.(built.record.root)
      await completeParents(registration, repository, digest)
      return result(digest, manifest, mediaType, bytes.length, request.tags, built?.record)
    }
  }
}

function checkDigest(request: PutManifestRequest): Digest {
  const { digest, bytes } = request
  const actual = digestOf(bytes, digest === undefined ? 'sha256' : algorithmOf(digest))
  if (digest === undefined || digest === actual) return actual
  throw new RegistryError('DIGEST_INVALID', {
    message: `the manifest hashes to ${actual}, not to ${digest}`,
    detail: { claimed: digest, actual }
  })
}

async function imageOf(
  registration: Registration,
  repository: string,
  digest: Digest,
  bytes: Uint8Array,
  options?: AbortOptions
) {
  const image = imageManifest(repository, digest, bytes)
  return image === undefined ? undefined : buildImage(registration, image, options)
}

function storeMutations(
  registration: Registration,
  repository: string,
  digest: Digest,
  manifest: Manifest,
  mediaType: string,
  request: PutManifestRequest
): Mutation[] {
  const { bytes, tags } = request
  const at = registration.clock.now()
  const blocks = registration.dags.file({ size: bytes.length, leaves: leafHashes(bytes) }).blocks
  const mutations: Mutation[] = [
    { type: 'putManifest', digest, bytes },
    { type: 'putBlocks', home: `manifest:${digest}`, blocks },
    { type: 'putRevision', repository, digest, record: { mediaType, size: bytes.length, at, used: at } }
  ]
  for (const child of manifest.names) mutations.push({ type: 'putReference', repository, child, parent: digest })
  if (manifest.subject !== undefined) {
    const descriptor = referrerDescriptor(digest, manifest, mediaType, bytes.length)
    mutations.push({ type: 'putReferrer', repository, subject: manifest.subject, descriptor })
  }
  for (const tag of tags) mutations.push({ type: 'putTag', repository, tag, record: { digest, at } })
  return mutations
}

/** `false` when something the checks relied on changed meanwhile: look again. */
async function commitUnlessChanged(
  registration: Registration,
  mutations: Mutation[],
  conditions: Precondition[],
  round: number,
  options?: AbortOptions
): Promise<boolean> {
  try {
    await registration.metadata.commit(mutations, conditions, options)
    return true
  } catch (error) {
    if (!(error instanceof PreconditionFailed)) throw error
    await refuseIfFull(registration, error)
    if (round < maxRounds) return false
    throw contended('the repository keeps changing under this push', error)
  }
}

function result(
  digest: Digest,
  manifest: Manifest,
  mediaType: string,
  size: number,
  tags: readonly string[],
  image: ImageRecord | undefined
): PutManifestResult {
  const put: PutManifestResult = { digest, mediaType, size, tags }
  if (manifest.subject !== undefined) put.subject = manifest.subject
  if (image !== undefined) put.image = image.root
  return put
}
