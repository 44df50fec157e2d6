import type { Registration } from '../components.ts'
import { reviseImages } from '../images/revise.ts'
import type { OpenSessions } from '../uploads/open-sessions.ts'
import { quarantine } from './quarantine.ts'

/**
 * Finishes what a crash interrupted. Its cost is what was under way, never the size of the store:
 * blobs acknowledged but not seen in place are put there, deleted blobs' files removed, staged files without a session
 * and sessions without a staged file dropped.
 */
export async function recover(registration: Registration, sessions: OpenSessions): Promise<void> {
  await placeBlobs(registration)
  await removeDoomed(registration)
  await matchSessions(registration, sessions)
}

async function placeBlobs(registration: Registration): Promise<void> {
  const { metadata, staging, files, settler } = registration
  for await (const { digest, uploadId } of metadata.unplaced()) {
    const record = await metadata.blob(digest)
    const staged = await staging.size(uploadId)
    if (record !== undefined && staged === record.size) await staging.place(uploadId, digest)
    const file = await files.open(digest)
    await file?.close()
    if (file === undefined) await quarantine(registration, digest, 'start')
    else settler.add(digest)
  }
}

async function removeDoomed(registration: Registration): Promise<void> {
  const { metadata, files } = registration
  for await (const digest of metadata.doomed()) {
    if ((await metadata.blob(digest)) === undefined) {
      await files.remove(digest)
      // Where it was put aside rather than freed, images that name it may still pass for whole.
      for await (const repository of metadata.holders(digest)) await reviseImages(registration, repository, digest)
    }
    await metadata.removed(digest)
  }
}

async function matchSessions(registration: Registration, sessions: OpenSessions): Promise<void> {
  const { metadata, staging, clock } = registration
  for await (const { id } of staging.list()) {
    if ((await metadata.upload(id)) === undefined) await staging.discard(id)
  }
  for await (const { id, record } of metadata.uploads()) {
    if ((await staging.size(id)) === undefined)
      await metadata.commit([{ type: 'deleteUpload', id }], [], { durable: false })
    else sessions.opened(id, record.repository, clock.now())
  }
}
