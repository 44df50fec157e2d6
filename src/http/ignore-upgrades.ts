import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Connections } from './connections.ts'
import { tooManyHeaders } from './header-limits.ts'

/**
 * Answers requests with `Upgrade` as if they had none (RFC 9110, section 7.8): nothing else than HTTP/1.1 is spoken here,
 * and Java's HttpClient offers h2c with every first request. Left alone, Node answers them too, but drops what came in the
 * same packet behind them. So each is given back to the connection without that header, and parsed again.
 *
 * @param event under which the server takes connections: `connection`, or `secureConnection` with TLS
 */
export function ignoreUpgrades(
  server: Server,
  event: 'connection' | 'secureConnection',
  { connections }: { connections: Connections }
): void {
  server.on('upgrade', (request, stream, behind: Buffer) => {
    // Of a server that listens on sockets; only the type is wider.
    const socket = stream as Socket
    // Parsed again without its length, a body would be the next request.
    if (tooManyHeaders(request.rawHeaders)) {
      server.emit('clientError', Object.assign(new Error('too many headers'), { code: 'HPE_HEADER_OVERFLOW' }), socket)
      return
    }
    const connection = connections.of(socket)
    socket.unshift(Buffer.concat([withoutUpgrade(request), behind]))
    // Until the connection is handed over nobody else listens to it.
    const failed = () => socket.destroy()
    const drained = () => connection.current?.response.emit('drain')
    socket.on('error', failed).on('drain', drained)
    connection.whenFree(() => {
      socket.off('error', failed).off('drain', drained)
      // Set while the connection was idle; whoever takes it over does not know.
      socket.setTimeout(0)
      server.emit(event, socket)
    })
  })
}

/** The head of the request as it came, but for `Upgrade`. Node takes it apart as latin1. */
function withoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    if (name.toLowerCase() !== 'upgrade') lines.push(`${name}: ${rawHeaders[at + 1]}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}
