import fastify, { type FastifyInstance } from 'fastify'
import { wholeNode } from '../access/authorize.ts'
import type { AuditLog } from '../access/ports.ts'
import { anonymous, showSubject } from '../access/subject.ts'
import type { Log } from '../registry/ports.ts'
import { auditControl } from './audit-control.ts'
import { Guard, type GuardComponents, type Visitor } from './guard.ts'
import type { Health } from './health.ts'
import { createHostCheck, type HostCheckInit } from './host-check.ts'
import { isLoopbackListener } from './listen.ts'
import { createLocations } from './location.ts'
import type { HttpMetrics } from './metrics.ts'
import { answerErrors, answerFrameworkErrors, sendHealth } from './ops-routes.ts'
import { createOriginCheck } from './origin-check.ts'
import { bareSecurityHeaders } from './security-headers.ts'
import { createClientOf } from './source.ts'

export interface DebugComponents {
  log: Log
  /** `http.debug.prometheus`; without it there are no metrics. */
  metrics?: HttpMetrics
  /** Path of the metrics. Default `/metrics`. */
  path?: string
  health?: Health
  /** Where somebody signs in: whoever asks must have `admin`, except for what every door tells probes. */
  access?: Omit<GuardComponents, 'locations' | 'clientOf'>
  /** Told of who was refused. */
  audit?: AuditLog
}

/** Connections and ms of a whole request: whoever scrapes needs one and next to nothing, and files are the registry's. */
const maxConnections = 64
const requestTimeout = 10_000

/** `http.debug.addr`: what an operator's network may see and clients may not. */
export function createDebugApp(components: DebugComponents, init: HostCheckInit = {}): FastifyInstance {
  const { metrics, health, log, access, audit } = components
  const app = fastify({ logger: false, bodyLimit: 1024, requestTimeout, frameworkErrors: answerFrameworkErrors(log) })
  app.server.maxConnections = maxConnections
  answerErrors(app, log)
  const visitors = new WeakMap<object, Visitor>()
  if (audit !== undefined) {
    auditControl(app, audit, ({ raw }) => ({
      subject: showSubject(visitors.get(raw)?.caller.subject ?? anonymous),
      from: clientOf(raw).address
    }))
  }
  standAtTheDoor(app, init)
  if (access !== undefined) guardAll(app, access, visitors)
  if (metrics !== undefined) {
    app.get(components.path ?? '/metrics', async (_request, reply) => {
      reply.header('Content-Type', metrics.registry.contentType)
      return metrics.registry.metrics()
    })
  }
  app.get('/debug/health', (_request, reply) => sendHealth(reply, health))
  app.get('/livez', (_request, reply) => reply.send({ status: 'ok' }))
  app.get('/readyz', (_request, reply) => sendHealth(reply, health))
  return app
}

/** No proxy is trusted here. */
const clientOf = createClientOf()

/** No page in a browser reads this by a name of its own. */
function standAtTheDoor(app: FastifyInstance, init: HostCheckInit): void {
  const checkHost = createHostCheck(init)
  const checkOrigin = createOriginCheck(init)
  app.addHook('onRequest', async ({ raw }, reply) => {
    reply.headers(bareSecurityHeaders)
    const client = clientOf(raw)
    const refusal = checkHost(raw, client, isLoopbackListener(app.server)) ?? checkOrigin(raw, client)
    if (refusal !== undefined) throw refusal
  })
}

const probes: ReadonlySet<string> = new Set(['/livez', '/readyz'])

function guardAll(
  app: FastifyInstance,
  access: NonNullable<DebugComponents['access']>,
  visitors: WeakMap<object, Visitor>
): void {
  const guard = new Guard({ ...access, clientOf, locations: createLocations({ clientOf }) })
  app.addHook('onRequest', async ({ raw, url }) => {
    if (probes.has(url.split('?', 1)[0] ?? '')) return
    try {
      const visitor = await guard.identify(raw)
      visitors.set(raw, visitor)
      guard.demand(visitor, 'admin', wholeNode)
    } catch (error) {
      // There is no token server at this address.
      throw guard.withBasic(error)
    }
  })
}
