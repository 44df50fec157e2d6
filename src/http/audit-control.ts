import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AuditEntry, AuditLog } from '../access/ports.ts'
import type { Audited } from './audit.ts'

/** Who asks, and from where. */
export type WhoAdministers = (request: FastifyRequest) => Pick<AuditEntry, 'subject' | 'from'>

export const operatorByControl: WhoAdministers = () => ({ subject: 'operator', from: 'control' })

/**
 * Everything that administers the node is an entry of the audit log, whichever door it comes by; what only reads is none,
 * unless it was refused.
 */
export function auditControl(app: FastifyInstance, audit: AuditLog, who: WhoAdministers = operatorByControl): void {
  const told = new WeakSet<FastifyRequest>()
  const tell = (request: FastifyRequest, status: number) => {
    if (told.has(request)) return
    told.add(request)
    const refused = (status === 401 && request.headers.authorization !== undefined) || status === 403
    // Asking without a credential is how clients find out that they need one.
    if (!refused && (status === 401 || onlyReads(request))) return
    const outcome = refused ? 'denied' : status < 400 ? 'allowed' : 'failed'
    audit.record({ ...who(request), ...aboutRequest(request), outcome, status })
  }
  // When it is known how it ended, and not when the answer is out: nobody may be left to take that.
  app.addHook('onSend', async (request, reply) => tell(request, reply.statusCode))
  app.addHook('onRequest', async (request, { raw }) => {
    // What streams its progress began its answer before its work.
    raw.once('close', () => {
      if (raw.headersSent) tell(request, raw.statusCode)
    })
  })
}

function onlyReads({ method, url }: FastifyRequest): boolean {
  return method === 'GET' || method === 'HEAD' || /\/(?:inspect|plan)(?:\?|$)/.test(url)
}

function aboutRequest({ url, body }: FastifyRequest): Pick<Audited, 'action'> & Partial<AuditEntry> {
  // A target in absolute form may hold a password.
  const path = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*|\?.*$/gis, '').slice(0, 100)
  const repository = textOf(body, 'repository')
  if (/\/rm(?:\/tag|\/all)?$/.test(path)) {
    const reference = textOf(body, 'tag') ?? textOf(body, 'digest')
    return { action: 'delete', ...(repository && { repository }), ...(reference && { reference }) }
  }
  if (/\/tokens(?:\/|$)/.test(path)) {
    const reference = textOf(body, 'name') ?? textOf(body, 'token')
    return { action: 'token', ...(reference && { reference }) }
  }
  if (path.endsWith('/quarantine/remove')) {
    const name = textOf(body, 'name')
    return { action: 'admin', reference: name === undefined ? path : `${path} ${name}` }
  }
  return { action: 'admin', reference: path }
}

/** A short text of a body that may not have passed its schema; never one of our tokens, should somebody paste it. */
function textOf(body: unknown, key: string): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const value: unknown = Reflect.get(body, key)
  return typeof value === 'string' && value.length <= 256 && !/pinnacer?_/.test(value) ? value : undefined
}
