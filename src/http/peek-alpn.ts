import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import type { ChallengeHandshakes } from './certificates.ts'
import { offeredProtocols } from './client-hello.ts'

/** Bytes of a ClientHello that are waited for; a challenge's has a few hundred. */
const longestHello = 16 * 1024

/**
 * Hands connections that offer `acme-tls/1` and nothing else (RFC 8737, section 3) to whoever answers challenges. Node chooses the
 * certificate before it tells of ALPN, so the first message is read here and put back. To be called before the server has other listeners of
 * connections than Node's own.
 */
export function peekAlpn(server: Server, challenge: ChallengeHandshakes, timeoutMs: number): void {
  const [handshake] = server.listeners('connection')
  if (handshake === undefined) throw new TypeError('a TLS server takes its connections by an event')
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const proceed = () => void handshake.call(server, socket)
    if (challenge.expected) peek(socket, { proceed, answer: () => challenge.answer(socket), timeoutMs })
    else proceed()
  })
}

interface Ways {
  proceed: () => void
  answer: () => void
  timeoutMs: number
}

function peek(socket: Socket, { proceed, answer, timeoutMs }: Ways): void {
  let read = Buffer.alloc(0)
  const timer = setTimeout(() => socket.destroy(), timeoutMs)
  const give = (way: () => void) => {
    clearTimeout(timer)
    socket.off('data', look).off('end', gone).off('error', gone).off('close', stop)
    socket.pause()
    socket.unshift(read)
    way()
  }
  const look = (chunk: Buffer) => {
    read = Buffer.concat([read, chunk])
    const offered = offeredProtocols(read)
    if (offered === 'partial' && read.length < longestHello) return
    give(offered.length === 1 && offered[0] === 'acme-tls/1' ? answer : proceed)
  }
  const gone = () => void socket.destroy()
  const stop = () => clearTimeout(timer)
  socket.on('data', look).on('end', gone).on('error', gone).on('close', stop)
}
