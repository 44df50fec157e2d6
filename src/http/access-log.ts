import type { Log } from '../registry/ports.ts'
import type { Exchange } from './exchange.ts'

/** Query parameters of the API, none of which is ever a secret. Values of all others are not logged. */
const harmless = new Set([
  'n',
  'last',
  'digest',
  'digest-algorithm',
  'mount',
  'from',
  'tag',
  'artifactType',
  'ns',
  'scope',
  'service'
])

/** Path and query as they may be logged: no user info of an absolute-form target, no value that might be a credential. */
export function loggableUrl(exchange: Exchange): string {
  const keys = [...exchange.query.entries()]
  if (keys.length === 0) return exchange.path
  const pairs = keys.map(([key, value]) => (harmless.has(key) ? `${key}=${value}` : isWord(key) ? `${key}=***` : '***'))
  return `${exchange.path}?${pairs.join('&')}`
}

/** Some put a secret behind the question mark with no key before it. */
function isWord(key: string): boolean {
  return /^[A-Za-z_-]{1,20}$/.test(key)
}

/** One line a request, when it was answered, or ended before it was. Headers are not logged, so credentials cannot be. */
export function logAccess(log: Log, exchange: Exchange): void {
  const { request } = exchange
  log.info(
    {
      requestId: exchange.id,
      method: request.method,
      url: loggableUrl(exchange),
      status: exchange.loggedStatus,
      complete: exchange.complete,
      received: exchange.received,
      sent: exchange.sent,
      ms: Math.round((performance.now() - exchange.startedAt) * 10) / 10,
      remote: exchange.client.address,
      userAgent: request.headers['user-agent']
    },
    'request'
  )
}

/** What was answered on a bare socket: bytes that are no request, one that did not come in time, or a CONNECT. */
export interface RawAnswer {
  status: number
  /** Bytes of the body. */
  sent: number
  /** Address of the socket. */
  remote: string | undefined
  method?: string | undefined
}

/** The line of a {@link RawAnswer}: what a request would have said itself is missing. */
export function logRawAccess(log: Log, { status, sent, remote, method }: RawAnswer): void {
  log.info({ ...(method !== undefined && { method }), status, complete: true, received: 0, sent, remote }, 'request')
}
