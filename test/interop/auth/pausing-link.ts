import { createConnection, createServer, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

export interface PausingLinkOptions {
  targetPort: number
  /** How often all answers are held back. */
  pauses: number
  /** Pieces of answers, of all connections together, between two pauses. */
  every: number
  /** Milliseconds of each: less than an idle connection is kept open. */
  pause: number
}

/** The start of a request for a bearer token. */
const tokenRequest = /^(?:GET|POST) \/token[ ?]/

/**
 * A TCP relay on loopback on which all answers stop for a while, again and again: a session over it lasts as long as is
 * wanted. Only a bearer token passes at once: with a hundred answers waiting before it, it would be old when it arrives.
 */
export async function pausingLink(options: PausingLinkOptions): Promise<{ port: number; close(): void }> {
  const { targetPort, pauses, every, pause } = options
  const sockets = new Set<Socket>()
  let pieces = 0
  let gate = Promise.resolve()
  const passed = (): Promise<void> => {
    pieces += 1
    if (pieces % every === 0 && pieces / every <= pauses) gate = gate.then(() => delay(pause))
    return gate
  }
  const server = createServer(client => {
    const target = createConnection(targetPort, '127.0.0.1')
    let asksForToken = false
    client.on('data', (bytes: Buffer) => {
      asksForToken = tokenRequest.test(bytes.toString('latin1', 0, 16))
    })
    const held = new Transform({
      transform: (bytes: Buffer, _encoding, done) =>
        asksForToken ? done(null, bytes) : void passed().then(() => done(null, bytes))
    })
    for (const socket of [client, target]) {
      sockets.add(socket)
      socket.once('error', () => {}).once('close', () => sockets.delete(socket))
    }
    client.once('close', () => target.destroy())
    client.pipe(target)
    target.pipe(held).pipe(client)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('not listening')
  const close = (): void => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { port: address.port, close }
}
