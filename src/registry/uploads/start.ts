import { randomUUID } from 'node:crypto'
import type { DigestAlgorithm } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { takePlace } from '../quotas/take-place.ts'
import type { UploadView } from '../registry.ts'
import type { OpenSessions } from './open-sessions.ts'

/**
 * end-4a, end-4c: opens a session. It outlives a killed process, not a power cut: nothing was acknowledged yet.
 *
 * @throws {RegistryError} TOOMANYREQUESTS
 */
export async function startUpload(
  registration: Registration,
  sessions: OpenSessions,
  repository: string,
  algorithm: DigestAlgorithm
): Promise<UploadView> {
  const { metadata, staging, clock } = registration
  const id = randomUUID()
  await takePlace(registration, sessions, repository, id)
  try {
    await staging.create(id, algorithm)
    await metadata.commit([{ type: 'putUpload', id, record: { repository, algorithm, startedAt: clock.now() } }], [], {
      durable: false
    })
  } catch (error) {
    sessions.ended(id)
    await staging.discard(id).catch(() => undefined)
    throw error
  }
  return { id, size: 0 }
}
