import { once } from 'node:events'
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { SecureContext, SecureContextOptions } from 'node:tls'
import type { App } from './app.ts'
import type { Certificates } from './certificates.ts'
import { answerClientErrors } from './client-errors.ts'
import { maxRead } from './header-limits.ts'
import { ignoreUpgrades } from './ignore-upgrades.ts'
import { peekAlpn } from './peek-alpn.ts'

export type ListenAddress = { host?: string; port: number } | { path: string }

export interface ListenInit {
  /** Certificate and key, or only what else TLS is made of; without it the ports speak plain HTTP. */
  tls?: SecureContextOptions & { requestCert?: boolean; rejectUnauthorized?: boolean }
  /** Certificates that come and change while the ports are open. */
  certificates?: Certificates
  /** ms for a request's headers. Default 30 s. */
  headersTimeoutMs?: number
  /** ms an idle connection is kept. Default 120 s, longer than Go's clients (90 s) so that they close first. */
  keepAliveTimeoutMs?: number
}

export interface Listening {
  /** `http://127.0.0.1:5005` and so on, one a listener, with the ports really taken. */
  readonly urls: readonly string[]
  /**
   * Graceful stop: accepts nothing more, closes idle connections, lets what is under way finish, and cuts the rest after
   * the timeout. Resolves with how many connections were cut.
   */
  drain(timeoutMs: number): Promise<number>
}

/** Listens on every address, or on none when one fails. */
export async function listen(app: App, addresses: readonly ListenAddress[], init: ListenInit = {}): Promise<Listening> {
  await app.fastify.ready()
  const servers: Server[] = []
  try {
    for (const address of addresses) {
      const server = createListener(app, init)
      servers.push(server)
      await start(server, address)
    }
  } catch (error) {
    await drain(app, servers, 0)
    throw error
  }
  const scheme = init.tls === undefined ? 'http' : 'https'
  return {
    urls: servers.map(server => urlOf(server, scheme)),
    drain: timeoutMs => drain(app, servers, timeoutMs)
  }
}

function createListener(app: App, init: ListenInit): Server {
  const headersTimeout = init.headersTimeoutMs ?? 30_000
  const options: ServerOptions = {
    headersTimeout,
    // A push may take hours; a silent one is cut by the stall timeout of its body.
    requestTimeout: 0,
    keepAliveTimeout: init.keepAliveTimeoutMs ?? 120_000,
    connectionsCheckingInterval: Math.max(10, Math.min(5_000, Math.floor(headersTimeout / 4))),
    maxHeaderSize: maxRead,
    // A missing Host is refused by the application, in the OCI form.
    requireHostHeader: false,
    // Whatever NODE_OPTIONS says: a parser that forgives is one that reads a request otherwise than a proxy in front.
    insecureHTTPParser: false,
    noDelay: true
  }
  const onRequest: RequestListener = (request, response) => app.handle(request, response)
  const server =
    init.tls === undefined
      ? createServer(options, onRequest)
      : createSecureListener({ ...options, ...init.tls, handshakeTimeout: headersTimeout }, onRequest, init)
  // Beyond the limit there is a 429; beyond twice the limit not even that.
  server.maxConnections = 2 * app.connections.limit
  // A client that sent its request and closed its half still gets the answer.
  Object.assign(server, { httpAllowHalfOpen: true })
  server.on('checkContinue', (request, response) => app.handle(request, response, 'continue'))
  server.on('checkExpectation', (request, response) => app.handle(request, response, 'unknown'))
  server.on('connection', (socket: Socket) => app.connections.accepted(socket))
  const connected = init.tls === undefined ? 'connection' : 'secureConnection'
  server.on(connected, (socket: Socket) => void app.connections.of(socket, isLoopbackListener(server)))
  ignoreUpgrades(server, connected, app)
  answerClientErrors(server, app)
  return server
}

/** HTTP/1.1 is what its ALPN offers. */
function createSecureListener(
  options: ServerOptions & SecureContextOptions & { handshakeTimeout: number },
  onRequest: RequestListener,
  { tls, certificates }: ListenInit
): TlsServer {
  if (certificates === undefined) return createTlsServer(options, onRequest)
  const choose = (servername: string, done: (error: Error | null, context?: SecureContext) => void) => {
    const chosen = certificates.select?.(servername) ?? Promise.resolve(undefined)
    chosen.then(
      context => done(null, context),
      (error: Error) => done(error)
    )
  }
  const server = createTlsServer({ ...options, ...(certificates.select && { SNICallback: choose }) }, onRequest)
  // Connections that are open keep what they were made with.
  certificates.follow(pair => server.setSecureContext({ ...tls, ...pair }))
  if (certificates.challenge !== undefined) peekAlpn(server, certificates.challenge, options.handshakeTimeout)
  return server
}

async function start(server: Server, address: ListenAddress): Promise<void> {
  server.listen(address)
  await once(server, 'listening')
  server.on('error', () => undefined)
}

/** Whether only this machine reaches it, by TCP: a unix socket no browser can open. */
export function isLoopbackListener(server: Pick<Server, 'address'>): boolean {
  const address: AddressInfo | string | null = server.address()
  if (address === null || typeof address === 'string') return false
  return /^(?:127\.|::1$|::ffff:127\.)/i.test(address.address)
}

function urlOf(server: Server, scheme: string): string {
  const address: AddressInfo | string | null = server.address()
  if (address === null || typeof address === 'string') return `unix:${address ?? ''}`
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `${scheme}://${host}:${address.port}`
}

async function drain(app: App, servers: readonly Server[], timeoutMs: number): Promise<number> {
  app.stopKeepingAlive()
  const closed = Promise.all(servers.map(server => closeServer(server)))
  app.connections.destroyIdle()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>(resolve => {
    timer = setTimeout(resolve, timeoutMs, 'late')
  })
  const outcome = await Promise.race([closed, late])
  clearTimeout(timer)
  const cut = outcome === 'late' ? app.connections.count : 0
  app.connections.destroyAll()
  await closed
  await app.fastify.close()
  return cut
}

function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
  })
}
