import { RegistryError } from '../../errors.ts'
import { algorithmOf, type Digest } from '../../oci/digest.ts'
import { commitBlob, presentBlob } from '../blobs/commit.ts'
import { touchLink } from '../blobs/touch-link.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions } from '../ports.ts'
import type { BlobView, UploadBody } from '../registry.ts'
import { append } from './append.ts'
import { endIfRefused } from './end-if-refused.ts'
import type { OpenSessions } from './open-sessions.ts'
import { type Session, withSession } from './session.ts'

/**
 * end-6. A digest that does not match leaves the session as it is: the client may have named the wrong one. A PUT whose 201 was lost
 * is answered 201 again, as long as the repository holds what it brought.
 */
export async function finishUpload(
  registration: Registration,
  sessions: OpenSessions,
  repository: string,
  id: string,
  digest: Digest,
  body: UploadBody | undefined,
  options?: AbortOptions
): Promise<BlobView> {
  const work = async (session: Session) => {
    if (body !== undefined) await append(registration, sessions, id, session, body, { ...options, digest })
    const content = await registration.staging.content(id, algorithmOf(digest), options)
    if (content.digest !== digest) throw mismatch(digest, content.digest, content.size)
    return commitBlob(registration, { repository, uploadId: id, digest, content }, options)
  }
  sessions.used(id, registration.clock.now())
  try {
    const view = await withSession(
      registration,
      repository,
      id,
      session => endIfRefused(registration, sessions, id, () => work(session)),
      options
    )
    sessions.ended(id)
    return view
  } catch (error) {
    if (!(error instanceof RegistryError) || error.reason !== 'BLOB_UPLOAD_UNKNOWN') throw error
    const view = await finishedBefore(registration, repository, digest, body, options)
    if (view === undefined) throw error
    return view
  }
}

/** The blob that a PUT to this session, now gone, can have brought; its body is read away, as far as that blob is long. */
async function finishedBefore(
  registration: Registration,
  repository: string,
  digest: Digest,
  body: UploadBody | undefined,
  options?: AbortOptions
): Promise<BlobView | undefined> {
  const before = await heldBlob(registration, repository, digest, options)
  if (before === undefined) return undefined
  if (body === undefined) return before
  let left = before.size
  if (left < (body.length ?? 0)) return undefined
  for await (const chunk of body.bytes) {
    left -= chunk.length
    if (left < 0) return undefined
  }
  // That took as long as the client liked.
  return heldBlob(registration, repository, digest, options)
}

/** A blob of the repository whose file is here, the repository's right to it new again. */
async function heldBlob(
  registration: Registration,
  repository: string,
  digest: Digest,
  options?: AbortOptions
): Promise<BlobView | undefined> {
  const link = await registration.metadata.link(repository, digest, options)
  const record = link && (await presentBlob(registration, digest, options))
  if (link === undefined || record === undefined) return undefined
  await touchLink(registration, repository, digest, link)
  return { digest, size: record.size, root: record.root }
}

function mismatch(claimed: Digest, actual: Digest, size: number): RegistryError {
  return new RegistryError('DIGEST_INVALID', {
    message: `the ${size} bytes received hash to ${actual}, not to ${claimed}`,
    detail: { claimed, actual, size }
  })
}
