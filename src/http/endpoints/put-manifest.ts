import { RegistryError } from '../../errors.ts'
import { baseMediaType } from '../../oci/media-types.ts'
import { type ManifestReference, parseTag } from '../../oci/reference.ts'
import type { PutManifestRequest, PutManifestResult } from '../../registry/registry.ts'
import type { Door } from '../door.ts'
import { etagOf, parseIfMatch, parseIfNoneMatch } from '../etag.ts'
import type { Exchange, HeaderList } from '../exchange.ts'
import type { Visitor } from '../guard.ts'
import { refuseMoveImmutable } from '../immutable-refusal.ts'
import { imagePath } from '../manifest-headers.ts'
import { withPlus } from '../plus.ts'
import { readWholeBody } from '../read-whole-body.ts'

interface ManifestTarget {
  repository: string
  reference: ManifestReference
}

/** end-7a, end-7b. */
export async function putManifest(
  door: Door,
  exchange: Exchange,
  target: ManifestTarget,
  visitor: Visitor
): Promise<void> {
  const { repository, reference } = target
  const ifMatch = parseIfMatch(exchange.header('if-match'))
  if (ifMatch?.length === 0) throw new RegistryError('MANIFEST_CHANGED')
  const ifNoneMatch = parseIfNoneMatch(exchange.header('if-none-match'))
  const asked = [...new Set(exchange.query.getAll('tag').map(tag => parseTag(withPlus(tag))))]
  const bytes = await door.bodies.admit(() => readManifest(door, exchange), exchange)
  const request: PutManifestRequest = {
    bytes,
    ...refusals(door, visitor, repository),
    mediaType: baseMediaType(exchange.header('content-type') ?? ''),
    tags: 'tag' in reference ? [...new Set([reference.tag, ...asked])] : asked,
    ...('digest' in reference ? { digest: reference.digest } : {}),
    ...(ifMatch === undefined ? {} : { ifMatch }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch })
  }
  const result = await door.registry.putManifest(repository, request, exchange.abortable)
  exchange.produced = result.digest
  exchange.send(201, created(door, exchange, repository, result, asked.length > 0))
}

/** `create` alone makes what is new and changes nothing that is there (CVE-2026-31801); immutable tags nobody moves. */
function refusals(door: Door, visitor: Visitor, repository: string) {
  const mayPush = door.guard.verdict(visitor, 'push', repository) === 'allowed'
  const refuseImmutable = refuseMoveImmutable(door, repository)
  const detail = { action: 'push', repository }
  return {
    refuseMove: (tag: string) => {
      const refusal = refuseImmutable(tag)
      if (refusal !== undefined || mayPush) return refusal
      const message = `the tag ${tag} is there already, and moving it takes the action push on ${repository}: use another tag`
      return new RegistryError('DENIED', { message, detail: { ...detail, tag } })
    },
    refuseRetype: (current: string) => {
      if (mayPush) return undefined
      const message = `this manifest is there already as ${current}, and making it something else takes the action push on ${repository}: push it as that`
      return new RegistryError('DENIED', { message, detail })
    }
  }
}

function created(
  door: Door,
  exchange: Exchange,
  repository: string,
  result: PutManifestResult,
  namesTags: boolean
): HeaderList {
  const { digest, image, subject, tags } = result
  const headers = ['Location', door.locations.of(exchange.request, `/${repository}/manifests/${digest}`)]
  headers.push('Docker-Content-Digest', digest, 'ETag', etagOf(digest))
  if (subject !== undefined) headers.push('OCI-Subject', subject)
  if (namesTags) for (const tag of tags) headers.push('OCI-Tag', tag)
  if (image !== undefined) headers.push('X-Ipfs-Path', imagePath(image, digest))
  return headers
}

/** @throws {RegistryError} MANIFEST_TOO_LARGE as soon as the limit is known to be passed, MANIFEST_STALLED */
function readManifest(door: Door, exchange: Exchange): Promise<Uint8Array> {
  const { manifestLimit: limit, bodyStallMs: stallMs } = door.init
  return readWholeBody(exchange, { limit, tooLarge: () => tooLarge(limit), stallMs, stalled: 'MANIFEST_STALLED' })
}

function tooLarge(limit: number): RegistryError {
  return new RegistryError('MANIFEST_TOO_LARGE', {
    message: `manifest is larger than ${limit} bytes`,
    detail: { limit }
  })
}
