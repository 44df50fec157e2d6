import { RegistryError } from '../../errors.ts'
import type { Registration } from '../components.ts'
import { LockTimeout } from '../keyed-lock.ts'
import type { AbortOptions, UploadRecord } from '../ports.ts'

/** An open session of this repository with the bytes it has. */
export interface Session {
  record: UploadRecord
  size: number
}

/** @throws {RegistryError} BLOB_UPLOAD_UNKNOWN, also when the session belongs to another repository */
export async function readSession(
  registration: Registration,
  repository: string,
  id: string,
  options?: AbortOptions
): Promise<Session> {
  const record = await registration.metadata.upload(id, options)
  if (record === undefined || record.repository !== repository) throw uploadUnknown(id)
  const size = await registration.staging.size(id)
  if (size === undefined) throw uploadUnknown(id)
  return { record, size }
}

/**
 * Runs the only writer of a session. A second request waits for the first for a while, then sees where it ended.
 *
 * @throws {RegistryError} BLOB_UPLOAD_BUSY
 */
export async function withSession<T>(
  registration: Registration,
  repository: string,
  id: string,
  work: (session: Session) => Promise<T>,
  options?: AbortOptions
): Promise<T> {
  try {
    return await registration.sessionLocks.run(
      id,
      async () => work(await readSession(registration, repository, id, options)),
      {
        ...options,
        timeoutMs: registration.init.sessionWaitMs
      }
    )
  } catch (error) {
    if (error instanceof LockTimeout)
      throw new RegistryError('BLOB_UPLOAD_BUSY', { headers: { 'Retry-After': '5' }, detail: { upload: id } })
    throw error
  }
}

export function uploadUnknown(id: string): RegistryError {
  return new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: { upload: id.slice(0, 64) } })
}
