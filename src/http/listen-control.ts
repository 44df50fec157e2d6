import { once } from 'node:events'
import { chmod, rm } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'

/** Bytes of a unix socket's path beside its terminator. */
const maxPath = process.platform === 'linux' ? 107 : 103

/**
 * Listens on a unix socket that only its owner may open. One that a killed process left is replaced: the caller holds the
 * data folder, so nobody else can be listening there.
 *
 * @throws {TypeError} when the path is too long for a socket
 */
export async function listenControl(app: FastifyInstance, path: string): Promise<void> {
  if (Buffer.byteLength(path) > maxPath) {
    throw new TypeError(`control socket path is longer than ${maxPath} bytes: choose a shorter data folder (${path})`)
  }
  await app.ready()
  await rm(path, { force: true })
  // Node binds a path within the call, so the mask covers the socket's creation and no other file's.
  const mask = process.umask(0o177)
  const listening = once(app.server, 'listening')
  try {
    app.server.listen({ path })
  } finally {
    process.umask(mask)
  }
  await listening
  await chmod(path, 0o600)
}
