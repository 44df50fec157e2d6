import type { Registration } from '../components.ts'
import type { OpenSessions } from '../uploads/open-sessions.ts'
import { dropUnlessBusy } from '../uploads/purge.ts'
import { tooManyUploads, tooManyUploadsOfAll } from './refusals.ts'

/** ms that a session may rest before it makes place for another: pushes that were broken off must not lock anybody out. */
const restMs = 60 * 60 * 1000

/**
 * Counts a session that is about to be opened, if its repository, and the node, may have one more. Looking and counting are
 * one step: others are opening at the same time.
 *
 * @throws {RegistryError} TOOMANYREQUESTS with Retry-After
 */
export async function takePlace(
  registration: Registration,
  sessions: OpenSessions,
  repository: string,
  id: string
): Promise<void> {
  const { init, clock } = registration
  const quota = init.quotaOf?.(repository)
  for (;;) {
    const full = quota?.uploads !== undefined && sessions.countOf(repository) >= quota.uploads ? quota : undefined
    if (full === undefined && sessions.count < init.maxUploads) break
    const resting = sessions.resting(clock.now() - restMs, full && repository)
    if (resting === undefined) throw full ? tooManyUploads(full, repository) : tooManyUploadsOfAll(init.maxUploads)
    // One that is being written to does not rest, however long that takes.
    if (!(await dropUnlessBusy(registration, sessions, resting))) sessions.used(resting, clock.now())
  }
  sessions.opened(id, repository, clock.now())
}
