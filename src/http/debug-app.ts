import fastify, { type FastifyInstance } from 'fastify'
import type { Log } from '../registry/ports.ts'
import type { Health } from './health.ts'
import type { HttpMetrics } from './metrics.ts'
import { answerErrors, sendHealth } from './ops-routes.ts'

export interface DebugComponents {
  log: Log
  /** `http.debug.prometheus`; without it there are no metrics. */
  metrics?: HttpMetrics
  /** Path of the metrics. Default `/metrics`. */
  path?: string
  health?: Health
}

/** `http.debug.addr`: what an operator's network may see and clients may not. */
export function createDebugApp(components: DebugComponents): FastifyInstance {
  const { metrics, health, log } = components
  const app = fastify({ logger: false })
  answerErrors(app, log)
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
