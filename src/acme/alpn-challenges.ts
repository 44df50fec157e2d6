import type { Socket } from 'node:net'
import { createSecureContext, createServer, type SecureContext, type Server } from 'node:tls'
import { type Authorization, crypto } from 'acme-client'
import type { Challenges } from './challenges.ts'
import { createKey } from './keys.ts'

/** ms for a handshake that the authority began. */
const handshakeMs = 10_000

/** TLS-ALPN-01 (RFC 8737): a handshake with a certificate that says what the authority wants to hear, and nothing after it. */
export class AlpnChallenges implements Challenges {
  readonly type = 'tls-alpn-01'
  readonly #contexts = new Map<string, SecureContext>()
  readonly #server: Server

  constructor() {
    this.#server = createServer({
      ALPNProtocols: ['acme-tls/1'],
      handshakeTimeout: handshakeMs,
      SNICallback: (name, done) => {
        const context = this.#contexts.get(name.toLowerCase())
        if (context === undefined) done(new Error('no challenge is expected for this name'))
        else done(null, context)
      }
    })
    this.#server.on('secureConnection', socket => void socket.end())
    this.#server.on('tlsClientError', (_error, socket) => void socket.destroy())
  }

  get expected(): boolean {
    return this.#contexts.size > 0
  }

  /** Takes a connection over whose first message offers `acme-tls/1` alone. */
  answer(socket: Socket): void {
    socket.on('error', () => undefined)
    this.#server.emit('connection', socket)
  }

  async prepare(authorization: Authorization, _token: string, answer: string): Promise<AsyncDisposable> {
    const host = authorization.identifier.value.toLowerCase()
    const [key, cert] = await crypto.createAlpnCertificate(authorization, answer, createKey())
    const context = createSecureContext({ key, cert })
    this.#contexts.set(host, context)
    return {
      [Symbol.asyncDispose]: async () => {
        if (this.#contexts.get(host) === context) this.#contexts.delete(host)
      }
    }
  }
}
