import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions } from '../ports.ts'
import { type BodyLimit, bodyLimit } from '../quotas/body-limit.ts'
import type { UploadBody, UploadView } from '../registry.ts'
import { endIfRefused } from './end-if-refused.ts'
import type { OpenSessions } from './open-sessions.ts'
import { type Session, withSession } from './session.ts'

/** end-5. */
export async function appendUpload(
  registration: Registration,
  sessions: OpenSessions,
  repository: string,
  id: string,
  body: UploadBody,
  options?: AbortOptions
): Promise<UploadView> {
  const work = async (session: Session) => {
    const size = await append(registration, sessions, id, session, body, options)
    // Nobody is left to confirm it to: the client will send the same again.
    if (options?.signal?.aborted !== true) sessions.confirm(id, size)
    return { id, size }
  }
  const { clock } = registration
  sessions.used(id, clock.now())
  const view = await withSession(
    registration,
    repository,
    id,
    session => endIfRefused(registration, sessions, id, () => work(session)),
    options
  )
  sessions.used(id, clock.now())
  return view
}

export interface AppendUploadOptions extends AbortOptions {
  /** What the whole is said to hash to, where the client says so already. */
  digest?: Digest
}

/**
 * Takes a body into a session whose lock is held; resolves with the session's new size.
 *
 * @throws {RegistryError} BLOB_UPLOAD_OUT_OF_ORDER; BLOB_TOO_LARGE, QUOTA_EXCEEDED: before the body is read when its length is
 * known, else when it has more than what fits
 */
export async function append(
  registration: Registration,
  sessions: OpenSessions,
  id: string,
  session: Session,
  body: UploadBody,
  options: AppendUploadOptions = {}
): Promise<number> {
  const { digest, ...abort } = options
  const at = startOf(sessions, id, session, body)
  const limit = await bodyLimit(registration, session.record.repository, digest, abort)
  const { bodies, staging } = registration
  bodies.set(id, body)
  try {
    const { bytes, length } = body
    if (length === undefined) return await appendUnmeasured(registration, id, bytes, limit, { ...abort, at })
    const whole = at + length
    if (limit !== undefined && whole > limit.most) throw limit.refusal(whole)
    const size = await staging.append(id, bytes, { ...abort, at, limit: length, expected: length })
    if (size !== whole) throw wrongLength(length, size - at)
    return size
  } finally {
    bodies.delete(id)
  }
}

/**
 * Byte of the session that the body's first one becomes: where `Content-Range` says, else where the `Location` that it was
 * sent to said. What is staged from there on came in a body that broke off, or was confirmed by a 202 that the client never saw.
 *
 * @throws {RegistryError} BLOB_UPLOAD_OUT_OF_ORDER
 */
function startOf(sessions: OpenSessions, id: string, { size }: Session, { start, offset }: UploadBody): number {
  const at = start ?? offset ?? size
  const confirmed = sessions.confirmed(id)
  if (at > size || (start !== undefined && start < confirmed)) throw outOfOrder(id, at, size)
  if (at < confirmed) sessions.confirm(id, at)
  return at
}

async function appendUnmeasured(
  { staging }: Registration,
  id: string,
  bytes: AsyncIterable<Uint8Array>,
  limit: BodyLimit | undefined,
  options: AbortOptions & { at: number }
): Promise<number> {
  if (limit === undefined || limit.most === Number.POSITIVE_INFINITY) return staging.append(id, bytes, options)
  try {
    return await staging.append(id, bytes, { ...options, limit: Math.max(0, limit.most - options.at) })
  } catch (error) {
    // There was no promise that it could break: what it has more of than is the quota's.
    if (error instanceof RegistryError && error.reason === 'SIZE_INVALID') throw limit.refusal()
    throw error
  }
}

function outOfOrder(id: string, start: number, size: number): RegistryError {
  return new RegistryError('BLOB_UPLOAD_OUT_OF_ORDER', {
    message: `chunk starts at byte ${start}, the upload continues at byte ${size}`,
    detail: { upload: id, size }
  })
}

function wrongLength(promised: number, arrived: number): RegistryError {
  return new RegistryError('SIZE_INVALID', { message: `body promised ${promised} bytes, ${arrived} arrived` })
}
