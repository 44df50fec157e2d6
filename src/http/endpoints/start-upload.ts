import { RegistryError } from '../../errors.ts'
import {
  algorithmOf,
  type Digest,
  type DigestAlgorithm,
  digestOf,
  isDigestAlgorithm,
  isStorable,
  parseDigest,
  parseWellFormed
} from '../../oci/digest.ts'
import { isRepository } from '../../oci/reference.ts'
import type { UploadBody } from '../../registry/registry.ts'
import type { Door } from '../door.ts'
import type { Exchange } from '../exchange.ts'
import { scopesFor, type Visitor } from '../guard.ts'
import { withPlus } from '../plus.ts'
import { blobCreated, sessionHeaders } from '../upload-headers.ts'

interface Mount {
  digest: Digest
  from: string | undefined
}

interface Asked {
  mount: Mount | undefined
  digest: Digest | undefined
  algorithm: DigestAlgorithm | undefined
}

/** end-4a, end-4b, end-4c, end-11: mount when that is asked for and can be, else upload at once, else a session. */
export async function startUpload(
  door: Door,
  exchange: Exchange,
  target: { repository: string },
  visitor: Visitor
): Promise<void> {
  const { repository } = target
  const asked = parseQuery(exchange.query)
  if (asked.mount !== undefined) {
    const { digest, from } = asked.mount
    const mayPull = mayPullFrom(door, visitor, repository, from)
    const blob = await door.registry.mountBlob(repository, digest, from, mayPull, exchange.abortable)
    if (blob !== undefined) return exchange.send(201, blobCreated(door, exchange, repository, blob))
  }
  if (asked.digest !== undefined) {
    const body = door.bodies.uploadOf(exchange)
    // A bodyless POST that names a digest is a client that will PUT: it gets a session, unless the blob is the empty one.
    if (body !== undefined || asked.digest === digestOf(new Uint8Array(), algorithmOf(asked.digest))) {
      return uploadAtOnce(door, exchange, repository, asked.digest, body)
    }
  }
  const upload = await door.registry.startUpload(repository, algorithmFor(asked), exchange.abortable)
  exchange.send(202, sessionHeaders(door, exchange, repository, upload))
}

/**
 * Which repositories a mount may take from. One that the caller has no right to is a miss, as if it were not there; one
 * that only the bearer token does not name is worth asking for another.
 *
 * @throws {RegistryError} UNAUTHORIZED with the scopes of both repositories
 */
function mayPullFrom(door: Door, visitor: Visitor, repository: string, from: string | undefined) {
  const { guard } = door
  if (from !== undefined && guard.hasRight(visitor, 'pull', from)) {
    guard.demand(visitor, 'pull', from, [...scopesFor('create', repository), ...scopesFor('pull', from)])
  }
  return (name: string) => guard.verdict(visitor, 'pull', name) === 'allowed'
}

/** end-4b. Nobody learns the session's name, so a failure ends it. */
async function uploadAtOnce(
  door: Door,
  exchange: Exchange,
  repository: string,
  digest: Digest,
  body: UploadBody | undefined
): Promise<void> {
  const blob = await door.bodies.admit(async () => {
    const { id } = await door.registry.startUpload(repository, algorithmOf(digest), exchange.abortable)
    try {
      return await door.registry.finishUpload(repository, id, digest, body, exchange.abortable)
    } catch (error) {
      await door.registry.cancelUpload(repository, id).catch((failure: unknown) => {
        door.log.debug({ requestId: exchange.id, upload: id, err: failure }, 'failed upload left to purging')
      })
      throw error
    }
  }, exchange)
  exchange.send(201, blobCreated(door, exchange, repository, blob))
}

function parseQuery(query: URLSearchParams): Asked {
  const digest = query.get('digest')
  const algorithm = query.get('digest-algorithm')
  if (algorithm !== null && !isDigestAlgorithm(algorithm)) {
    throw new RegistryError('DIGEST_INVALID', {
      message: 'unsupported digest-algorithm: use sha256 or sha512',
      detail: { algorithm: algorithm.slice(0, 100) }
    })
  }
  return {
    mount: parseMount(query.get('mount'), query.get('from')),
    digest: digest === null ? undefined : parseDigest(withPlus(digest)),
    algorithm: algorithm ?? undefined
  }
}

/**
 * What is to be mounted, when that can be. Clients take `from` out of whatever name the image had where they got it
 * (`Team/App`, `host:5000/app`), so one that is no name here, and a digest of an algorithm that nothing here is stored
 * under, are a miss like any other: a session.
 *
 * @throws {RegistryError} DIGEST_INVALID when `mount` is no digest
 */
function parseMount(mount: string | null, from: string | null): Mount | undefined {
  if (mount === null) return undefined
  const digest = parseWellFormed(withPlus(mount))
  if (!isStorable(digest)) return undefined
  if (from === null) return { digest, from: undefined }
  return isRepository(from) ? { digest, from } : undefined
}

/** What the bytes to come will most likely be asked under. */
function algorithmFor({ algorithm, digest, mount }: Asked): DigestAlgorithm {
  const named = digest ?? mount?.digest
  return algorithm ?? (named === undefined ? 'sha256' : algorithmOf(named))
}
