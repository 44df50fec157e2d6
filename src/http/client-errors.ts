import { type Server, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { RegistryError } from '../errors.ts'
import type { RawAnswer } from './access-log.ts'
import type { App } from './app.ts'
import { overflowed } from './header-limits.ts'
import { errorResponse } from './reply-error.ts'
import { bareSecurityHeaders } from './security-headers.ts'

export type ClientErrorsComponents = Pick<App, 'connections' | 'log' | 'answeredRaw'>

/** ms a client gets to read a raw answer before the connection is cut. */
const lingerMs = 2_000

/** What a client did wrong, by how Node's parser and its timers name it. */
function refusalOf(error: Error, code: string): RegistryError {
  if (code === 'HPE_HEADER_OVERFLOW') return overflowed(error)
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new RegistryError('REQUEST_TIMEOUT')
  const message = isTlsHello(error) ? 'this port speaks HTTP, not TLS' : undefined
  return new RegistryError('REQUEST_INVALID', message === undefined ? {} : { message })
}

/** What Node reports about bytes that never became a request, answered in the OCI form on the bare socket. */
export function answerClientErrors(server: Server, { connections, log, answeredRaw }: ClientErrorsComponents): void {
  const told = { tls: false }
  server.on('clientError', (error, stream) => {
    const socket = asSocket(stream)
    const connection = socket === undefined ? undefined : connections.of(socket)
    if (socket === undefined || connection === undefined || connection.condemned) return
    connection.condemned = true
    const code = 'code' in error ? String(error.code) : ''
    const { current } = connection
    if (current?.answered === true) {
      current.response.end()
      endSocket(socket)
      return
    }
    if (!socket.writable || current?.response.headersSent === true || code === 'ECONNRESET' || code === 'EPIPE') {
      socket.destroy()
      return
    }
    if (isTlsHello(error) && !told.tls) {
      told.tls = true
      log.warn({ remote: socket.remoteAddress, port: socket.localPort }, tlsAdvice)
    }
    log.debug({ remote: socket.remoteAddress, err: error }, 'malformed request')
    const { status, sent } = answerRaw(socket, refusalOf(error, code), current?.request.method === 'HEAD')
    if (current !== undefined) current.answeredRaw(status, sent)
    else answeredRaw({ status, sent, remote: socket.remoteAddress })
  })
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    const plain = 'code' in error && error.code === 'ERR_SSL_HTTP_REQUEST'
    log.debug(
      { remote: socket.remoteAddress, err: error },
      plain ? 'a client spoke HTTP to the TLS port' : 'TLS failed'
    )
    socket.destroy()
  })
  server.on('connect', ({ method }, stream) => {
    const socket = asSocket(stream)
    if (socket === undefined) return
    const refusal = new RegistryError('METHOD_NOT_ALLOWED', { headers: { Allow: 'GET, HEAD' } })
    answeredRaw({ ...answerRaw(socket, refusal), remote: socket.remoteAddress, method })
  })
}

const tlsAdvice =
  'a client spoke TLS to the plain HTTP port: let it use http (for dockerd, list this registry under ' +
  '"insecure-registries"), or give this node a certificate under http.tls'

/** A TLS record of type handshake, where a method was expected. */
function isTlsHello(error: Error): boolean {
  return 'rawPacket' in error && error.rawPacket instanceof Uint8Array && error.rawPacket[0] === 0x16
}

function asSocket(stream: Duplex): Socket | undefined {
  return 'remoteAddress' in stream ? (stream as Socket) : undefined
}

/** A whole response on a socket whose parser gave up; plain HTTP also to TLS, which Go clients report in so many words. */
function answerRaw(socket: Socket, error: RegistryError, toHead = false): Pick<RawAnswer, 'status' | 'sent'> {
  const { status, headers, body } = errorResponse(error, '')
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body)}`
  ]
  for (let at = 0; at + 1 < headers.length; at += 2) lines.push(`${headers[at]}: ${headers[at + 1]}`)
  for (const [name, value] of Object.entries(bareSecurityHeaders)) lines.push(`${name}: ${value}`)
  lines.push('Docker-Distribution-Api-Version: registry/2.0', '', toHead ? '' : body)
  endSocket(socket, lines.join('\r\n'))
  return { status, sent: toHead ? 0 : Buffer.byteLength(body) }
}

/** Closes after what was written, once the client had time to read it. */
function endSocket(socket: Socket, last = ''): void {
  socket.end(last)
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
}
