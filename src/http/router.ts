import type { FastifyInstance } from 'fastify'
import type { TokenServer } from '../access/authentication.ts'
import { anonymous, showSubject } from '../access/subject.ts'
import { adminClosed, isAdminPath } from './admin-door.ts'
import type { Connection } from './connections.ts'
import type { Door } from './door.ts'
import type { Doorstep } from './doorstep.ts'
import type { Exchange } from './exchange.ts'
import { answerOci, isOciTarget } from './oci-door.ts'
import { parseTarget } from './parse-target.ts'
import { replyError } from './reply-error.ts'
import { answerToken, isTokenPath } from './token-door.ts'

export interface RouterComponents {
  door: Door
  doorstep: Doorstep
  /** Absent: nobody gets tokens here. */
  tokenServer?: TokenServer | undefined
  /** The admin API; `closed` where it would be if somebody could sign in. */
  admin?: FastifyInstance | 'closed' | undefined
  /** Everything else. */
  rest: FastifyInstance
}

/** Answers one request; the promise, where there is one, never rejects and settles when what was asked for is done. */
export type Router = (exchange: Exchange, connection: Connection) => Promise<void> | undefined

/** Which door a request goes to. No path but these leads anywhere, and no door is reached but through here. */
export function createRouter({ door, doorstep, tokenServer, admin, rest }: RouterComponents): Router {
  const { locations, log } = door
  const { prefix } = locations
  const refuse = (exchange: Exchange, error: unknown) => replyError(exchange, error, log)
  return (exchange, connection) => {
    const { path } = exchange
    const refusal = doorstep(exchange, connection)
    if (refusal !== undefined) {
      if (refusal.status === 403) noteRefused(exchange, prefix)
      refuse(exchange, refusal)
    } else if (isOciTarget(path, prefix)) return answerOci(door, exchange)
    else if (!countIn(door, exchange)) return undefined
    else if (tokenServer !== undefined && isTokenPath(path, prefix)) return answerToken(door, tokenServer, exchange)
    else if (admin === undefined || !isAdminPath(path, prefix)) delegate(rest, door, exchange)
    else {
      exchange.route = 'admin'
      // Tells itself what it does.
      if (admin !== 'closed') delegate(admin, door, exchange)
      else {
        noteRefused(exchange, prefix)
        refuse(exchange, adminClosed())
      }
    }
    return undefined
  }
}

/** What a request wanted that was refused before anybody looked at it; for the audit log. */
function noteRefused(exchange: Exchange, prefix: string): void {
  const { path, request } = exchange
  if (isOciTarget(path, prefix)) {
    try {
      exchange.target = parseTarget(request.method ?? '', path.slice(prefix.length + '/v2'.length))
      return
    } catch {
      // Nothing of the API's.
    }
  }
  const action = isAdminPath(path, prefix) ? 'admin' : isTokenPath(path, prefix) ? 'token' : 'login'
  exchange.audited = { subject: showSubject(anonymous), action }
}

function delegate(to: FastifyInstance, { init }: Door, exchange: Exchange): void {
  const { request, response } = exchange
  // Fastify reads bodies without a time limit.
  if (exchange.hasBody) request.setTimeout(init.bodyStallMs, () => request.destroy())
  exchange.delegate(() => to.routing(request, response))
}

/** Counts what asks for nothing by name, by its address; probes must be answered when nothing else is. False: it is answered. */
function countIn(door: Door, exchange: Exchange): boolean {
  if (exchange.path === '/livez' || exchange.path === '/readyz') return true
  try {
    exchange.enter(door.limits.admit(exchange.client, undefined))
    return true
  } catch (error) {
    replyError(exchange, error, door.log)
    return false
  }
}
