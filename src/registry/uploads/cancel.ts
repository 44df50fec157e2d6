import type { Registration } from '../components.ts'
import type { AbortOptions } from '../ports.ts'
import type { OpenSessions } from './open-sessions.ts'
import { withSession } from './session.ts'

/** end-14. */
export async function cancelUpload(
  registration: Registration,
  sessions: OpenSessions,
  repository: string,
  id: string,
  options?: AbortOptions
): Promise<void> {
  await withSession(registration, repository, id, () => drop(registration, sessions, id), options)
}

/** Record first: a crash in between leaves a staged file that the next start removes. */
export async function drop(registration: Registration, sessions: OpenSessions, id: string): Promise<void> {
  await registration.metadata.commit([{ type: 'deleteUpload', id }], [], { durable: false })
  await registration.staging.discard(id)
  sessions.ended(id)
}
