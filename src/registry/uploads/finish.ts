import { RegistryError } from '../../errors.ts'
import { algorithmOf, type Digest } from '../../oci/digest.ts'
import { commitBlob } from '../blobs/commit.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions } from '../ports.ts'
import type { BlobView, UploadBody } from '../registry.ts'
import { append } from './append.ts'
import { endIfRefused } from './end-if-refused.ts'
import type { OpenSessions } from './open-sessions.ts'
import { type Session, withSession } from './session.ts'

/**
 * end-6. A digest that does not match leaves the session as it is: the client may have named the wrong one. Repeating a
 * PUT whose 201 was lost finds the session gone, as the specification's clients expect.
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
    if (body !== undefined) await append(registration, id, session, body, { ...options, digest })
    const content = await registration.staging.content(id, algorithmOf(digest), options)
    if (content.digest !== digest) throw mismatch(digest, content.digest, content.size)
    return commitBlob(registration, { repository, uploadId: id, digest, content }, options)
  }
  sessions.used(id, registration.clock.now())
  const view = await withSession(
    registration,
    repository,
    id,
    session => endIfRefused(registration, sessions, id, () => work(session)),
    options
  )
  sessions.ended(id)
  return view
}

function mismatch(claimed: Digest, actual: Digest, size: number): RegistryError {
  return new RegistryError('DIGEST_INVALID', {
    message: `the ${size} bytes received hash to ${actual}, not to ${claimed}`,
    detail: { claimed, actual, size }
  })
}
