import type { Authorize } from '../access/authorize.ts'
import type { AuditEntry, AuditLog } from '../access/ports.ts'
import { anonymous, showSubject } from '../access/subject.ts'
import { tryParseDigest } from '../oci/digest.ts'
import type { Exchange } from './exchange.ts'
import type { Endpoint, Target } from './parse-target.ts'

/** What an endpoint says of a request for the audit log; the rest is known when the answer is out. */
export type Audited = Pick<AuditEntry, 'subject' | 'action'> & Partial<AuditEntry>

export interface AuditorComponents {
  audit: AuditLog
  authorize: Authorize
}

export interface AuditorInit {
  /** Whether pulls of what anonymous may not pull are entries too. Default false. */
  pulls?: boolean
}

/** Told of every exchange once it is answered and what it asked for is done, with the client's address. */
export type Auditor = (exchange: Exchange, from: string | undefined) => void

/** Endpoints that change something, whose failures are entries too. */
const writes: ReadonlySet<Endpoint> = new Set<Endpoint>(['end-4', 'end-5', 'end-6', 'end-7', 'end-9', 'end-10'])
/** Those of them that are entries when they succeed: a chunk is none, the blob it became is. */
const completions: ReadonlySet<Endpoint> = new Set<Endpoint>(['end-6', 'end-7', 'end-9', 'end-10'])
const pulls: ReadonlySet<Endpoint> = new Set<Endpoint>(['end-2', 'end-3'])

/** Decides which requests are entries of the audit log, and what they say. No value of a header is ever looked at. */
export function createAuditor({ audit, authorize }: AuditorComponents, init: AuditorInit = {}): Auditor {
  const isPrivate = (target: Target) => 'repository' in target && !authorize(anonymous, 'pull', target.repository)
  return (exchange, from) => {
    const { target, response, request } = exchange
    // Another door's, which tells of itself.
    if (target === undefined && exchange.audited === undefined) return
    const status = exchange.status ?? (response.headersSent ? response.statusCode : undefined)
    const outcome = outcomeOf(exchange, status)
    // Asking without a credential is how clients find out that they need one.
    if (status === 401 && request.headers.authorization === undefined && exchange.audited === undefined) return
    const endpoint = target?.endpoint
    const told =
      outcome === 'denied' ||
      exchange.audited !== undefined ||
      (endpoint !== undefined && completions.has(endpoint)) ||
      (endpoint === 'end-4' && status === 201) ||
      (endpoint !== undefined && outcome === 'failed' && writes.has(endpoint)) ||
      (init.pulls === true &&
        target !== undefined &&
        pulls.has(target.endpoint) &&
        request.method === 'GET' &&
        outcome === 'allowed' &&
        isPrivate(target))
    if (!told) return
    const facts = exchange.audited ?? factsOf(exchange, status)
    audit.record({
      ...facts,
      outcome,
      requestId: exchange.id,
      ...(status === undefined ? {} : { status }),
      ...(from === undefined ? {} : { from })
    })
  }
}

function outcomeOf({ audited }: Exchange, status: number | undefined): AuditEntry['outcome'] {
  if (status === 401 || status === 403) return 'denied'
  if (audited !== undefined && status === 429) return 'denied'
  // Without a status it ended unanswered: the client was gone before it could be known how.
  return status !== undefined && status < 400 ? 'allowed' : 'failed'
}

function factsOf(exchange: Exchange, status: number | undefined): Audited {
  const { target, caller } = exchange
  // A credential that was refused says nothing: people type passwords where names go. Which user's password was wrong is
  // said by whoever compared it.
  const subject = showSubject(caller?.subject ?? anonymous)
  if (target === undefined || !('repository' in target)) return { subject, action: 'login' }
  return { subject, repository: target.repository, ...aboutTarget(exchange, target, status) }
}

function aboutTarget(
  { query, produced }: Exchange,
  target: Extract<Target, { repository: string }>,
  status: number | undefined
): Pick<Audited, 'action'> & Partial<Audited> {
  if ('unstorable' in target) {
    const { endpoint, unstorable } = target
    const isRead = endpoint === 'end-2' || endpoint === 'end-3'
    return { action: isRead ? 'pull' : 'delete', reference: unstorable }
  }
  switch (target.endpoint) {
    case 'end-2':
    case 'end-12':
      return { action: 'pull', reference: target.digest }
    case 'end-10':
      return { action: 'delete', reference: target.digest }
    case 'end-3':
      return { action: 'pull', ...referenceOf(target.reference) }
    case 'end-7':
      return { action: 'push', ...referenceOf(target.reference), ...(produced && { digest: produced }) }
    case 'end-9':
      return { action: 'delete', ...referenceOf(target.reference) }
    case 'end-8':
      return { action: 'pull' }
    case 'end-4':
      return started(query, status)
    default: {
      const digest = tryParseDigest(query.get('digest') ?? '')
      return { action: 'push', reference: digest ?? target.id }
    }
  }
}

function referenceOf(reference: { tag: string } | { digest: string }): { reference: string } {
  return { reference: 'tag' in reference ? reference.tag : reference.digest }
}

/** A mount or a whole blob. What the query says was parsed, or it would not have come to 201. */
function started(query: URLSearchParams, status: number | undefined): Pick<Audited, 'action'> & Partial<Audited> {
  const mounted = tryParseDigest(query.get('mount') ?? '')
  const uploaded = tryParseDigest(query.get('digest') ?? '')
  const reference = mounted ?? uploaded
  const source = query.get('from')
  return {
    action: mounted !== undefined && uploaded === undefined ? 'mount' : 'push',
    ...(reference && { reference }),
    ...(status === 201 && mounted !== undefined && source ? { source } : {})
  }
}
