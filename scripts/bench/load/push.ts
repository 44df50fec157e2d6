import { Connection, type Response } from './connection.ts'
import type { Content } from './content.ts'

/**
 * How a blob is sent. `chunked`: POST, PATCH in chunks of 32 KiB, PUT, as docker, podman and crane do. `length`: POST and
 * one PUT with `Content-Length`, as containerd and oras do.
 */
export type PushForm = 'chunked' | 'length'

/** Pushes over an open connection; the digest has to be known already, or its computation is measured too. */
export async function pushBlob(
  connection: Connection,
  repository: string,
  content: Content,
  form: PushForm
): Promise<void> {
  const started = await connection.request('POST', `/v2/${repository}/blobs/uploads/`)
  let session = locationOf(expectStatus(started, 202))
  const headers = { 'Content-Type': 'application/octet-stream' }
  const buffers = (): Iterable<Buffer> => content.buffers()
  if (form === 'chunked') {
    const patched = await connection.request('PATCH', session, { headers, body: { buffers } })
    session = locationOf(expectStatus(patched, 202))
  }
  const target = `${session}${session.includes('?') ? '&' : '?'}digest=${encodeURIComponent(content.digest)}`
  const body = form === 'length' ? { headers, body: { buffers, length: content.size } } : {}
  expectStatus(await connection.request('PUT', target, body), 201)
}

/** Pushes all of them over so many connections; seconds, connecting left out. */
export async function pushBlobs(
  origin: string,
  repository: string,
  contents: readonly Content[],
  form: PushForm,
  connections: number
): Promise<number> {
  for (const content of contents) void content.digest
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(origin)))
  const left = contents.values()
  const start = performance.now()
  try {
    await Promise.all(
      open.map(async connection => {
        // One iterator for all: each takes the next when it is done with one.
        for (const content of left) await pushBlob(connection, repository, content, form)
      })
    )
  } finally {
    for (const connection of open) connection.close()
  }
  return (performance.now() - start) / 1000
}

/** @throws {Error} with the body when the status is another */
export function expectStatus(response: Response, status: number): Response {
  if (response.status === status) return response
  throw new Error(`expected ${status}, got ${response.status}: ${response.body.slice(0, 500)}`)
}

/** Path and query; some registries give an absolute URL. */
function locationOf(response: Response): string {
  const location = new URL(response.headers.get('location') ?? '', 'http://registry.invalid')
  return location.pathname + location.search
}
