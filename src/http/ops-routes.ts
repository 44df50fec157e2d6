import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError } from '../errors.ts'
import type { Log } from '../registry/ports.ts'
import type { Health } from './health.ts'
import { errorResponse } from './reply-error.ts'

export interface OpsComponents {
  log: Log
  health?: Health
}

/** `/livez`, `/readyz` and `/` for probes, and errors of all Fastify routes in the OCI form. */
export function addOpsRoutes(app: FastifyInstance, components: OpsComponents): void {
  answerErrors(app, components.log)
  app.get('/', (_request, reply) => reply.header('Cache-Control', 'no-cache').send())
  app.get('/livez', (_request, reply) => reply.header('Cache-Control', 'no-cache').send({ status: 'ok' }))
  app.get('/readyz', (_request, reply) => sendHealth(reply, components.health))
}

/** 200 when no check fails, with what else there is to know; else 503 naming those that do. */
export async function sendHealth(reply: FastifyReply, health: Health | undefined): Promise<FastifyReply> {
  const failures = health?.failures() ?? {}
  reply.header('Cache-Control', 'no-cache')
  if (Object.keys(failures).length === 0) return reply.send({ status: 'ok', ...(await health?.notices?.()) })
  throw new RegistryError('UNAVAILABLE', { message: 'not ready', detail: failures })
}

/** What Fastify refuses before it has a route: a broken escape in the path. */
export function answerFrameworkErrors(log: Log) {
  return (error: Error, request: FastifyRequest, reply: FastifyReply): void =>
    answer(translate(error), request, reply, log)
}

/** Makes an application's errors, Fastify's own included, OCI error bodies. */
export function answerErrors(app: FastifyInstance, log: Log): void {
  app.setNotFoundHandler((request, reply) => {
    answer(new RegistryError('NOT_FOUND'), request, reply, log)
  })
  app.setErrorHandler((error, request, reply) => {
    answer(translate(error), request, reply, log)
  })
}

function answer(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Log): void {
  const requestId = String(reply.raw.getHeader('X-Request-Id') ?? request.id)
  const { status, headers, body } = errorResponse(error, requestId)
  // A probe that fails is its own news; the check behind it was logged by whoever made it.
  if (status >= 500 && request.url !== '/readyz')
    log.error({ requestId, method: request.method, err: error }, 'request failed')
  for (let at = 0; at + 1 < headers.length; at += 2) reply.header(headers[at] ?? '', headers[at + 1])
  reply.code(status).send(body)
}

/** Fastify's complaints about a request are the client's fault and say so by their status. */
function translate(error: unknown): unknown {
  if (!(error instanceof Error) || !('statusCode' in error) || !('code' in error)) return error
  const { statusCode } = error
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode >= 500) return error
  const init = { message: error.message, cause: error }
  if (statusCode === 413) return new RegistryError('MANIFEST_TOO_LARGE', init)
  if (statusCode === 415) return new RegistryError('UNSUPPORTED_MEDIA_TYPE', init)
  return new RegistryError('REQUEST_INVALID', init)
}
