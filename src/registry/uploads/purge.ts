import type { Registration } from '../components.ts'
import { LockTimeout } from '../keyed-lock.ts'
import type { AbortOptions } from '../ports.ts'
import { drop } from './cancel.ts'
import type { OpenSessions } from './open-sessions.ts'

/** `storage.maintenance.uploadpurging`: removes sessions started before the age, unless one is being written to. */
export async function purgeUploads(
  registration: Registration,
  sessions: OpenSessions,
  olderThanMs: number,
  options?: AbortOptions & { dryRun?: boolean }
): Promise<number> {
  const before = registration.clock.now() - olderThanMs
  let purged = 0
  for await (const { id, record } of registration.metadata.uploads(options)) {
    options?.signal?.throwIfAborted()
    if (record.startedAt > before) continue
    if (options?.dryRun === true || (await dropUnlessBusy(registration, sessions, id))) purged++
  }
  return purged
}

/** `false` when the session is being written to. */
export async function dropUnlessBusy(registration: Registration, sessions: OpenSessions, id: string): Promise<boolean> {
  try {
    await registration.sessionLocks.run(id, () => drop(registration, sessions, id), { timeoutMs: 0 })
    return true
  } catch (error) {
    if (error instanceof LockTimeout) return false
    throw error
  }
}
