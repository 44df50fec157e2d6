import { getCACertificates } from 'node:tls'
import { createEgress, type Egress } from '../egress/egress.ts'
import { namedHost } from '../egress/named-hosts.ts'
import type { AbortOptions } from '../registry/ports.ts'
import { bodyHeaders, type ControlRequest, type ControlResponse, type ControlTransport } from './control-transport.ts'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'
import type { RemoteHost } from './remote-host.ts'
import { printable } from './terminal.ts'

/** ms that a node may work without a word: scrub says something after each blob, and the largest take minutes. */
const longestSilence = 30 * 60_000

/**
 * The admin API of a node elsewhere. The token goes to the origin that was named and nowhere else: redirects are told, not
 * followed. Certificates are verified, always.
 */
export class HttpTransport implements ControlTransport {
  readonly name: string
  readonly #host: RemoteHost
  readonly #egress: Egress

  constructor(host: RemoteHost) {
    const { url, ca } = host
    this.#host = host
    this.name = `the node at ${url.href.replace(/\/$/, '')}`
    // Whoever types a host means it, at whatever address it is.
    this.#egress = createEgress({
      named: [namedHost(url)],
      maxSockets: 2,
      ...(ca && { ca: [...getCACertificates('default'), ca] })
    })
  }

  async send(asked: ControlRequest, options?: AbortOptions): Promise<ControlResponse> {
    const response = await this.#ask(asked, options)
    const { status, headers, body } = response
    if (status < 300 || status >= 400) return response
    body.destroy()
    const to = headers.location === undefined ? 'elsewhere' : `to ${printableTarget(headers.location)}`
    throw this.#failure(`redirects ${to}, where no token is sent: name the right address with --host`)
  }

  close(): void {
    this.#egress.close()
  }

  async #ask({ method, path, body }: ControlRequest, { signal }: AbortOptions = {}): Promise<ControlResponse> {
    const { url, token } = this.#host
    const target = new URL(`${url.pathname.replace(/\/$/, '')}/admin/v1${path}`, url)
    const headers = {
      ...bodyHeaders(body),
      Accept: 'application/json, application/x-ndjson',
      ...(token && { Authorization: `Bearer ${token}` })
    }
    const bounds = { redirects: 'none', idleMs: longestSilence } as const
    const request = { method, headers, ...bounds, ...(body && { body }), ...(signal && { signal }) }
    return await this.#egress.request(target, request).catch((error: unknown) => {
      signal?.throwIfAborted()
      throw error instanceof Error ? this.#explain(error) : error
    })
  }

  #explain(cause: Error): Error {
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : ''
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return this.#failure('has a certificate for another name', cause)
    if (untrusted.has(code)) {
      return this.#failure(`has a certificate that is not trusted (${code}): name its authority with --ca`, cause)
    }
    if (code === 'EPROTO') return this.#failure('does not speak TLS at that port: is it http:// there?', cause)
    return this.#failure(`does not answer: ${cause.message || code || cause.name}`, cause)
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

/** Its origin and path: what follows them may be a secret of somebody's. */
function printableTarget(location: string): string {
  const { origin, pathname } = URL.parse(location) ?? { origin: '', pathname: location.replace(/[?#].*$/s, '') }
  return printable(`${origin}${pathname}`.slice(0, 200))
}
