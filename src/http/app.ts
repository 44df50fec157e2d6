import type { IncomingMessage, ServerResponse } from 'node:http'
import fastify, { type FastifyInstance } from 'fastify'
import type { Authentication } from '../access/authentication.ts'
import type { Authorize, Reach } from '../access/authorize.ts'
import { createImmutableTags, type ImmutableTag } from '../access/immutable.ts'
import type { AuditLog } from '../access/ports.ts'
import { RegistryError } from '../errors.ts'
import { maxManifestSize } from '../oci/manifest.ts'
import type { Log } from '../registry/ports.ts'
import type { Registry } from '../registry/registry.ts'
import { logAccess, logRawAccess, type RawAnswer } from './access-log.ts'
import { createAdminApp } from './admin-door.ts'
import { createAuditor } from './audit.ts'
import { ByteBodies } from './byte-bodies.ts'
import { ClientLimits, type ClientLimitsInit, isThisMachine } from './client-limits.ts'
import { type Connection, Connections } from './connections.ts'
import type { ControlComponents } from './control-app.ts'
import type { Door } from './door.ts'
import { createDoorstep, type DoorstepInit } from './doorstep.ts'
import { Exchange, type NodeState } from './exchange.ts'
import { Guard, type GuardComponents, type GuardInit } from './guard.ts'
import type { Health } from './health.ts'
import { createListTurns } from './list-turns.ts'
import { createLocations, type LocationInit } from './location.ts'
import { ManifestHeaders } from './manifest-headers.ts'
import type { HttpMetrics } from './metrics.ts'
import { addOpsRoutes, answerFrameworkErrors } from './ops-routes.ts'
import { replyError } from './reply-error.ts'
import { createRequestIds } from './request-id.ts'
import { createRouter } from './router.ts'
import { SealedNames } from './sealed-names.ts'
import { standingHeaders } from './security-headers.ts'
import { createClientOf, createIsProxy, type SourceInit } from './source.ts'

export interface AppComponents {
  registry: Registry
  authorize: Authorize
  /** Default: everywhere. Only what it names is looked at for lists. */
  reach?: Reach
  /** Absent: nobody is asked who they are. */
  authentication?: Authentication
  /** Default: every tag may be moved. */
  immutable?: ImmutableTag
  /** What the admin API is about. Absent: there is none. */
  control?: Pick<ControlComponents, 'node' | 'access'>
  log: Log
  /** Told of what was changed and of what was refused. */
  audit?: AuditLog
  metrics?: HttpMetrics
  /** State behind `/readyz`; without one the node is ready. */
  health?: Health
}

export interface AppInit extends LocationInit, GuardInit, SourceInit, DoorstepInit {
  /** `http.headers`: on every response. */
  headers?: Readonly<Record<string, readonly string[]>>
  /** `storage.delete.enabled`. Default true. */
  deleteEnabled?: boolean
  /** `storage.maintenance.readonly.enabled`. Default false. */
  readOnly?: boolean
  /** `log.audit.pulls`. Default false. */
  auditPulls?: boolean
  /** One line at level info a request. Default false. */
  accessLog?: boolean
  limits?: {
    /** Connections; requests on more are answered 429. Default 4096. */
    sockets?: number
    /** Request bodies read at once; more wait. Default 256. */
    uploads?: number
    /** Items of a page. Default 1000. */
    pageSize?: number
    /** Bytes of a manifest. Default 4 MiB. */
    manifest?: number
    /** Of one client. `connections`: default half of `sockets`; 0 is any number. */
    client?: ClientLimitsInit & { connections?: number }
  }
  timeouts?: {
    /** ms a request's body waits until fewer are being read than the limit; then 429. Default 15 s. */
    uploadQueueMs?: number
    /** ms a request's body may pause; then 408, the session kept. Default 60 s. */
    bodyStallMs?: number
    /**
     * ms in which a client must take at least one byte. Default 300 s: the kernel takes more only when a third of its
     * send buffer (4 MiB) is free again, which a client at 5 kB/s needs that long for.
     */
    writeStallMs?: number
    /** ms that a client which closed its half, or hung up, is still worked for before the answer begins. Default 10 s. */
    halfClosedMs?: number
  }
}

/** What a request's `Expect` asks for: `100 Continue` before the body, or something that nobody knows. */
export type Expectation = 'continue' | 'unknown'

/** The application apart from listening. */
export interface App {
  /** For routes outside `/v2`; other doors add theirs before {@link listen}. */
  readonly fastify: FastifyInstance
  readonly connections: Connections
  readonly log: Log
  /** Answers one request. */
  handle(request: IncomingMessage, response: ServerResponse, expectation?: Expectation): void
  /** What was answered on a bare socket is logged and counted. */
  answeredRaw(answer: RawAnswer): void
  /** From now on every response closes its connection. */
  stopKeepingAlive(): void
}

/**
 * Composes the HTTP application. The OCI API is answered in front of Fastify's router, which cannot express its names, and
 * so that no body parser, default limit or automatic answer stands between a request and the specification. Speed decides
 * nothing here: a manifest GET takes 14 to 16 µs of CPU, 12 to 13 of them Node's own HTTP and the kernel's socket.
 */
export function createApp(components: AppComponents, init: AppInit = {}): App {
  const clientOf = createClientOf(init)
  const locations = createLocations({ clientOf }, init)
  const door = createDoor({ ...components, clientOf, locations }, init)
  const connections = openConnections(init)
  const requestId = createRequestIds()
  const standing = standingHeaders(init.headers)
  const app = fastify({ logger: false, frameworkErrors: answerFrameworkErrors(components.log) })
  addOpsRoutes(app, components)
  const answer = createRouter({
    door,
    doorstep: createDoorstep({ ...init, prefix: locations.prefix }),
    tokenServer: components.authentication?.tokenServer,
    admin: openAdmin(app, components, door),
    rest: app
  })
  const state: NodeState = { stopping: false }
  const { audit, authorize } = components
  const auditor = audit && createAuditor({ audit, authorize }, { pulls: init.auditPulls ?? false })

  const done = (exchange: Exchange) => {
    components.metrics?.finished(sampleOf(exchange))
    if (init.accessLog === true) logAccess(components.log, exchange)
  }
  const begin = (
    connection: Connection,
    request: IncomingMessage,
    response: ServerResponse,
    expectation: Expectation | undefined
  ) => {
    const id = requestId(request.headers['x-request-id'])
    // Read now: a socket that was cut no longer knows it.
    const client = clientOf(request)
    const headers = 'encrypted' in request.socket && !connection.onLoopback ? standing.secure : standing.plain
    const expectsContinue = expectation === 'continue'
    const exchange = new Exchange(request, response, { id, client, headers, expectsContinue, state, done })
    connection.current = exchange
    components.metrics?.started()
    if (connection.surplus === 'ipfs.limits.client.connections') components.metrics?.limited('connections')
    const closed = Promise.withResolvers<void>()
    response.once('close', () => {
      exchange.close()
      connection.next()
      closed.resolve()
    })
    const work = expectation === 'unknown' ? refuseExpectation(exchange, components.log) : answer(exchange, connection)
    // A client that hangs up ends nothing that is being committed: told when it is known how that went.
    if (auditor !== undefined) void Promise.all([work, closed.promise]).then(() => auditor(exchange, client.address))
  }
  const handle: App['handle'] = (request, response, expectation) => {
    const connection = connections.of(request.socket)
    connection.whenFree(() => begin(connection, request, response, expectation))
  }
  const answeredRaw: App['answeredRaw'] = answer => {
    const { status, sent, method = '' } = answer
    components.metrics?.started()
    components.metrics?.finished({ route: 'invalid', method, status, seconds: 0, received: 0, sent })
    if (init.accessLog === true) logRawAccess(components.log, answer)
  }
  const stopKeepingAlive = () => {
    state.stopping = true
  }
  return { fastify: app, connections, log: components.log, handle, answeredRaw, stopKeepingAlive }
}

/** RFC 9110, section 10.1.1. */
function refuseExpectation(exchange: Exchange, log: Log): undefined {
  exchange.route = 'invalid'
  exchange.closeConnection()
  replyError(exchange, new RegistryError('EXPECTATION_FAILED'), log)
}

function openConnections(init: AppInit): Connections {
  const limit = init.limits?.sockets ?? 4096
  const isProxy = createIsProxy(init)
  return new Connections({
    limit,
    perClient: init.limits?.client?.connections ?? Math.ceil(limit / 2),
    isClient: address => !isThisMachine(address) && !isProxy(address),
    halfClosedMs: init.timeouts?.halfClosedMs ?? 10_000
  })
}

/** The admin API, open where somebody can sign in to use it. */
function openAdmin(app: FastifyInstance, components: AppComponents, { guard, locations }: Door) {
  const { control, registry, log, audit } = components
  if (control === undefined) return undefined
  if (guard.authentication === undefined) return 'closed'
  const admin = createAdminApp({ ...control, registry, log, guard, ...(audit && { audit }) }, locations.prefix)
  app.register(async () => void (await admin.ready()))
  return admin
}

function createDoor(components: AppComponents & Pick<GuardComponents, 'clientOf' | 'locations'>, init: AppInit): Door {
  const { registry, log, locations } = components
  const bodyStallMs = init.timeouts?.bodyStallMs ?? 60_000
  const limits = new ClientLimits(
    { now: () => performance.now(), limited: limit => components.metrics?.limited(limit) },
    init.limits?.client
  )
  return {
    registry,
    guard: new Guard(components, init),
    immutable: components.immutable ?? createImmutableTags([]),
    log,
    locations,
    init: {
      deleteEnabled: init.deleteEnabled ?? true,
      readOnly: init.readOnly ?? false,
      pageSize: init.limits?.pageSize ?? 1000,
      manifestLimit: init.limits?.manifest ?? maxManifestSize,
      bodyStallMs,
      writeStallMs: init.timeouts?.writeStallMs ?? 300_000
    },
    limits,
    bodies: new ByteBodies({
      limit: init.limits?.uploads ?? 256,
      limits,
      queueMs: init.timeouts?.uploadQueueMs ?? 15_000,
      stallMs: bodyStallMs
    }),
    lists: createListTurns(),
    sealedNames: new SealedNames(),
    manifestHeaders: new ManifestHeaders()
  }
}

function sampleOf(exchange: Exchange) {
  return {
    route: exchange.route,
    method: exchange.request.method ?? '',
    status: exchange.loggedStatus,
    seconds: (performance.now() - exchange.startedAt) / 1000,
    received: exchange.received,
    sent: exchange.sent
  }
}
