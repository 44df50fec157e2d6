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
 * Runs the only writer of a session. A second request waits for the first for a while, then sees where it ended. A first whose
 * body has fallen silent is ended: its client most likely sends it again by this very request.
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
  const { sessionLocks, init } = registration
  const stopWatching = sessionLocks.isTaken(id) ? await watchHolder(registration, repository, id) : undefined
  const start = async () => {
    stopWatching?.()
    return work(await readSession(registration, repository, id, options))
  }
  try {
    return await sessionLocks.run(id, start, { ...options, timeoutMs: init.sessionWaitMs })
  } catch (error) {
    if (error instanceof LockTimeout)
      throw new RegistryError('BLOB_UPLOAD_BUSY', { headers: { 'Retry-After': '5' }, detail: { upload: id } })
    throw error
  } finally {
    stopWatching?.()
  }
}

/** Ends the body that a session of this repository takes as soon as it is silent; returns how to stop looking. */
async function watchHolder(
  { metadata, bodies, init }: Registration,
  repository: string,
  id: string
): Promise<(() => void) | undefined> {
  // Who may push here must not end what is pushed elsewhere.
  if ((await metadata.upload(id))?.repository !== repository) return undefined
  const most = init.bodySilenceMs
  let timer: NodeJS.Timeout | undefined
  const look = (): void => {
    const client = bodies.get(id)?.client
    const left = most - (client?.silentFor() ?? 0)
    if (left <= 0) client?.giveUp()
    // Whoever had waited before may be sending by now, and be silent in turn.
    timer = setTimeout(look, left <= 0 ? most : left)
  }
  look()
  return () => clearTimeout(timer)
}

export function uploadUnknown(id: string): RegistryError {
  return new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: { upload: id.slice(0, 64) } })
}
