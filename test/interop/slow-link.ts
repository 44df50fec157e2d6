import { createConnection, createServer, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

/** A TCP relay on loopback whose way back from the target carries `bytesPerSecond`. */
export async function slowLink(targetPort: number, bytesPerSecond: number): Promise<{ port: number; close(): void }> {
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const target = createConnection(targetPort, '127.0.0.1')
    for (const socket of [client, target]) {
      sockets.add(socket)
      socket
        .once('error', () => {})
        .once('close', () => {
          sockets.delete(socket)
          client.destroy()
          target.destroy()
        })
    }
    client.pipe(target)
    target.pipe(throttle(bytesPerSecond)).pipe(client)
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

function throttle(bytesPerSecond: number): Transform {
  return new Transform({
    highWaterMark: 64 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      void delay((chunk.byteLength / bytesPerSecond) * 1000).then(() => done(null, chunk))
    }
  })
}
