import type { Registration } from '../components.ts'
import { isQuotaRefusal } from '../quotas/refusals.ts'
import { drop } from './cancel.ts'
import type { OpenSessions } from './open-sessions.ts'

/**
 * Ends a session, whose lock is held, when its repository's quota refused it: what is staged could never become a blob, and
 * a client that tries again begins anew.
 */
export async function endIfRefused<T>(
  registration: Registration,
  sessions: OpenSessions,
  id: string,
  work: () => Promise<T>
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isQuotaRefusal(error)) await drop(registration, sessions, id)
    throw error
  }
}
