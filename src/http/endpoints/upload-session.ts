import { RegistryError } from '../../errors.ts'
import { parseDigest } from '../../oci/digest.ts'
import type { Door } from '../door.ts'
import type { Exchange } from '../exchange.ts'
import { withPlus } from '../plus.ts'
import { blobCreated, sessionHeaders } from '../upload-headers.ts'

interface SessionTarget {
  repository: string
  id: string
  /** Where the URL says that a body begins, bytes. */
  offset?: number
}

/** end-5: one chunk, or a stream of unknown length. */
export async function appendUpload(door: Door, exchange: Exchange, target: SessionTarget): Promise<void> {
  const { repository, id, offset } = target
  await withWhereabouts(door, exchange, target, async () => {
    const body = door.bodies.uploadOf(exchange, offset)
    const upload =
      body === undefined
        ? await door.registry.uploadStatus(repository, id, exchange.abortable)
        : await door.bodies.admit(() => door.registry.appendUpload(repository, id, body, exchange.abortable), exchange)
    exchange.send(202, sessionHeaders(door, exchange, repository, upload))
  })
}

/** end-6, with the last chunk, the whole blob or nothing as its body. */
export async function finishUpload(door: Door, exchange: Exchange, target: SessionTarget): Promise<void> {
  const { repository, id, offset } = target
  const value = exchange.query.get('digest')
  if (value === null) throw new RegistryError('DIGEST_INVALID', { message: 'digest parameter missing' })
  const digest = parseDigest(withPlus(value))
  await withWhereabouts(door, exchange, target, async () => {
    const body = door.bodies.uploadOf(exchange, offset)
    const finish = () => door.registry.finishUpload(repository, id, digest, body, exchange.abortable)
    const blob = body === undefined ? await finish() : await door.bodies.admit(finish, exchange)
    exchange.send(201, blobCreated(door, exchange, repository, blob))
  })
}

/** end-13. */
export async function uploadStatus(door: Door, exchange: Exchange, target: SessionTarget): Promise<void> {
  const upload = await door.registry.uploadStatus(target.repository, target.id, exchange.abortable)
  exchange.send(204, sessionHeaders(door, exchange, target.repository, upload))
}

/** end-14. */
export async function cancelUpload(door: Door, exchange: Exchange, target: SessionTarget): Promise<void> {
  await door.registry.cancelUpload(target.repository, target.id, exchange.abortable)
  exchange.send(204, ['Docker-Upload-UUID', target.id])
}

/** A refusal after which the session goes on says where, so that a client can resume without asking. */
async function withWhereabouts(
  door: Door,
  exchange: Exchange,
  { repository, id }: SessionTarget,
  work: () => Promise<void>
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof RegistryError) || !resumable.has(error.reason) || exchange.closed) throw error
    const upload = await door.registry.uploadStatus(repository, id, exchange.abortable).catch(() => undefined)
    if (upload === undefined) throw error
    const headers: Record<string, string> = { ...error.headers }
    const list = sessionHeaders(door, exchange, repository, upload)
    for (let at = 0; at + 1 < list.length; at += 2) headers[list[at] ?? ''] = list[at + 1] ?? ''
    throw new RegistryError(error.reason, { message: error.message, detail: error.detail, headers, cause: error })
  }
}

const resumable: ReadonlySet<string> = new Set([
  'BLOB_UPLOAD_OUT_OF_ORDER',
  'BLOB_UPLOAD_STALLED',
  'BLOB_UPLOAD_INVALID',
  'SIZE_INVALID',
  'STORAGE_FULL'
])
