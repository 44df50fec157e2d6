import { RegistryError } from '../../errors.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions } from '../ports.ts'
import type { UploadBody, UploadView } from '../registry.ts'
import { type Session, withSession } from './session.ts'

/** end-5. */
export async function appendUpload(
  registration: Registration,
  repository: string,
  id: string,
  body: UploadBody,
  options?: AbortOptions
): Promise<UploadView> {
  return withSession(
    registration,
    repository,
    id,
    async session => ({ id, size: await append(registration, id, session, body, options) }),
    options
  )
}

/** Appends a body to a session whose lock is held; resolves with the session's new size. */
export async function append(
  registration: Registration,
  id: string,
  session: Session,
  body: UploadBody,
  options?: AbortOptions
): Promise<number> {
  if (body.start !== undefined && body.start !== session.size) throw outOfOrder(id, body.start, session.size)
  if (body.length === undefined) return registration.staging.append(id, body.bytes, options)
  const size = await registration.staging.append(id, body.bytes, { ...options, limit: body.length })
  if (size !== session.size + body.length) throw wrongLength(body.length, size - session.size)
  return size
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
