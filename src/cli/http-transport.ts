import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request } from 'node:http'
import { Agent as HttpsAgent, request as requestSecurely } from 'node:https'
import { getCACertificates } from 'node:tls'
import type { AbortOptions } from '../registry/ports.ts'
import { bodyHeaders, type ControlRequest, type ControlTransport } from './control-transport.ts'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'
import type { RemoteHost } from './remote-host.ts'

/** ms until there is a connection; what a node then works at takes as long as it takes. */
const patience = 15_000

/**
 * The admin API of a node elsewhere. The token goes to the origin that was named and nowhere else: redirects are told, not
 * followed. Certificates are verified, always.
 */
export class HttpTransport implements ControlTransport {
  readonly name: string
  readonly #host: RemoteHost
  readonly #agent: HttpAgent | HttpsAgent

  constructor(host: RemoteHost) {
    this.#host = host
    this.name = `the node at ${host.url.href.replace(/\/$/, '')}`
    const options = { keepAlive: true, maxSockets: 2 }
    this.#agent =
      host.url.protocol === 'http:'
        ? new HttpAgent(options)
        : new HttpsAgent({ ...options, ...(host.ca && { ca: [...getCACertificates('default'), host.ca] }) })
  }

  async send(asked: ControlRequest, options?: AbortOptions): Promise<IncomingMessage> {
    const response = await this.#ask(asked, options)
    const status = response.statusCode ?? 500
    if (status < 300 || status >= 400) return response
    response.resume()
    const to =
      response.headers.location === undefined ? 'elsewhere' : `to ${printableTarget(response.headers.location)}`
    throw this.#failure(`redirects ${to}, where no token is sent: name the right address with --host`)
  }

  close(): void {
    this.#agent.destroy()
  }

  #ask({ method, path, body }: ControlRequest, options?: AbortOptions): Promise<IncomingMessage> {
    const { url, token } = this.#host
    const target = new URL(`${url.pathname.replace(/\/$/, '')}/admin/v1${path}`, url)
    const headers = {
      ...bodyHeaders(body),
      Accept: 'application/json, application/x-ndjson',
      ...(token && { Authorization: `Bearer ${token}` })
    }
    const init = { agent: this.#agent, method, headers, ...(options?.signal && { signal: options.signal }) }
    return new Promise((settle, reject) => {
      const sent = url.protocol === 'http:' ? request(target, init) : requestSecurely(target, init)
      watchConnection(sent)
      sent.once('response', settle)
      sent.once('error', error => reject(options?.signal?.aborted ? options.signal.reason : this.#explain(error)))
      sent.end(body)
    })
  }

  #explain(cause: Error): Error {
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : ''
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return this.#failure('has a certificate for another name', cause)
    if (untrusted.has(code)) {
      return this.#failure(`has a certificate that is not trusted (${code}): name its authority with --ca`, cause)
    }
    if (code === 'EPROTO') return this.#failure('does not speak TLS at that port: is it http:// there?', cause)
    const why = cause.message || code || cause.name
    return this.#failure(`does not answer: ${why}`, cause)
  }

  #failure(what: string, cause?: Error): CommandFailure {
    return new CommandFailure(exitCodes.failure, `${this.name} ${what}`, cause && { cause })
  }
}

/** OpenSSL's names for a chain that ends in nobody we know, or not now. */
const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_SIGNATURE_FAILURE'
])

/** ms of silence after which the system asks whether the other end is still there. */
const probeAfter = 30_000

function watchConnection(sent: ClientRequest): void {
  sent.once('socket', socket => {
    socket.setKeepAlive(true, probeAfter)
    if (!socket.connecting) return
    const ready = 'encrypted' in socket ? 'secureConnect' : 'connect'
    const timer = setTimeout(() => sent.destroy(new Error(`no connection within ${patience / 1000} s`)), patience)
    const stop = () => clearTimeout(timer)
    socket.once(ready, stop).once('close', stop)
  })
}

/** Its origin and path: what follows them may be a secret of somebody's. */
function printableTarget(location: string): string {
  const { origin, pathname } = URL.parse(location) ?? { origin: '', pathname: location.replace(/[?#].*$/s, '') }
  return `${origin}${pathname}`.slice(0, 200)
}
