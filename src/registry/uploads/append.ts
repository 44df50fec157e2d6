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
  const work = async (session: Session) => ({ id, size: await append(registration, id, session, body, options) })
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
 * Appends a body to a session whose lock is held; resolves with the session's new size.
 *
 * @throws {RegistryError} BLOB_TOO_LARGE, QUOTA_EXCEEDED: before the body is read when its length is known, else when it has
 * more than what fits
 */
export async function append(
  registration: Registration,
  id: string,
  session: Session,
  body: UploadBody,
  options: AppendUploadOptions = {}
): Promise<number> {
  const { digest, ...abort } = options
  if (body.start !== undefined && body.start !== session.size) throw outOfOrder(id, body.start, session.size)
  const limit = await bodyLimit(registration, session.record.repository, digest, abort)
  if (body.length === undefined) return appendUnmeasured(registration, id, session, body, limit, abort)
  const whole = session.size + body.length
  if (limit !== undefined && whole > limit.most) throw limit.refusal(whole)
  const size = await registration.staging.append(id, body.bytes, {
    ...abort,
    limit: body.length,
    expected: body.length
  })
  if (size !== whole) throw wrongLength(body.length, size - session.size)
  return size
}

async function appendUnmeasured(
  { staging }: Registration,
  id: string,
  session: Session,
  body: UploadBody,
  limit: BodyLimit | undefined,
  options: AbortOptions
): Promise<number> {
  if (limit === undefined || limit.most === Number.POSITIVE_INFINITY) return staging.append(id, body.bytes, options)
  try {
    return await staging.append(id, body.bytes, { ...options, limit: Math.max(0, limit.most - session.size) })
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
