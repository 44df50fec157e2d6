import type { IncomingMessage } from 'node:http'
import { RegistryError } from '../errors.ts'
import type { Client } from './source.ts'

export interface OriginCheckInit {
  /** `http.host`: URL by which clients reach this node. */
  host?: string
  /** `http.prefix`, without the slash at its end. */
  prefix?: string
  /** `http.headers`, which may name origins whose pages the operator wants to let in. */
  headers?: Readonly<Record<string, readonly string[]>>
}

/** Why a web page may not make a request; `undefined` when it may, or when no web page made it. */
export type OriginCheck = (request: IncomingMessage, client: Client) => RegistryError | undefined

/** They change nothing (RFC 9110, section 9.2.1), and what they answer a page elsewhere cannot read. */
const safe: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Against cross-site request forgery: a page anywhere can make a visitor's browser send requests to this node, and some of
 * them, forms for one, without asking first. Browsers say where a request comes from and pages cannot change that: `Origin`
 * (RFC 6454, section 7) on whatever is no plain GET, `Sec-Fetch-Site` (Fetch Metadata) where the connection is trustworthy.
 * `Origin: null`, of a sandboxed frame or a local file, may be anybody's and so is foreign. Clients that are no browsers
 * send neither.
 */
export function createOriginCheck(init: OriginCheckInit = {}): OriginCheck {
  const prefix = init.prefix ?? ''
  const base = init.host === undefined ? undefined : new URL(init.host).host
  const named = namedOrigins(init.headers ?? {})
  const isOwn = (origin: string, { host }: Client): boolean => {
    const match = /^https?:\/\/(.+)$/i.exec(origin)?.[1]?.toLowerCase()
    // The scheme is not compared: a proxy that ends TLS need not say so.
    return match !== undefined && (match === host?.toLowerCase() || match === base)
  }
  return (request, client) => {
    const { origin } = request.headers
    const site = request.headers['sec-fetch-site']
    if (origin === undefined && site === undefined) return undefined
    if (safe.has(request.method ?? '') && !isSensitive(request.url ?? '', prefix)) return undefined
    if (origin !== undefined) {
      if (named.has(origin)) return undefined
      if (!isOwn(origin, client)) return foreign(origin)
    }
    return site === undefined || site === 'same-origin' || site === 'none' ? undefined : foreign(origin)
  }
}

/** Where even reading is nothing for other pages: tokens and the administration. */
function isSensitive(target: string, prefix: string): boolean {
  const path = target.startsWith('/') ? target : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '')
  if (!path.startsWith(prefix)) return false
  // Escapes are undone by the router.
  const [, first = ''] = path.slice(prefix.length).split(/[/?#;]/, 2)
  return /^(?:token|admin)$/i.test(decoded(first))
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What `Access-Control-Allow-Origin` names one by one: `*` lets everybody read, which is another matter. */
function namedOrigins(headers: Readonly<Record<string, readonly string[]>>): Set<string> {
  const values = Object.entries(headers).flatMap(([name, list]) =>
    name.toLowerCase() === 'access-control-allow-origin' ? list : []
  )
  return new Set(values.filter(value => value !== '*' && value !== 'null'))
}

function foreign(origin: string | undefined): RegistryError {
  const page = origin === undefined ? 'a web page elsewhere' : `a web page of ${JSON.stringify(origin.slice(0, 255))}`
  return new RegistryError('DENIED', {
    message: `${page} may not do this here; the operator can let it in by naming its origin in http.headers, Access-Control-Allow-Origin`,
    ...(origin === undefined ? {} : { detail: { origin: origin.slice(0, 255) } })
  })
}
