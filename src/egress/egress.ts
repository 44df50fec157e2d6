import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { GuardedHttpAgent, GuardedHttpsAgent, type Lookup } from './agents.ts'
import { boundedBody } from './bounded-body.ts'
import { headersAfter } from './credentials.ts'
import { type Agents, dial } from './dial.ts'
import { EgressError } from './error.ts'
import { type NamedHost, NamedHosts } from './named-hosts.ts'

export interface EgressInit {
  /**
   * Hosts that the operator's configuration names for this very purpose; only they may be at loopback, link-local or
   * private addresses. Default none.
   */
  named?: readonly NamedHost[]
  /** Default: the system's. */
  lookup?: Lookup
  /** PEM certificates of authorities to trust instead of the well-known ones. */
  ca?: readonly (string | Uint8Array)[]
  /** Sockets at most to one host. Default 32. */
  maxSockets?: number
}

export interface EgressRequest {
  /** Default GET. */
  method?: string
  headers?: Readonly<Record<string, string>>
  /** A stream is sent once: a redirect that asks for it again is an error. */
  body?: string | Uint8Array | Readable
  /** More headers that stay with the first origin, besides `Authorization`, `Cookie` and `Proxy-Authorization`. */
  secretHeaders?: readonly string[]
  /** Redirects followed at most; more is an error. Default 5. With `none` a redirect is an answer like any other. */
  redirects?: number | 'none'
  /** ms until the headers of each answer are there. Default 20 s. */
  headersMs?: number
  /** ms that the body may pause. Default 60 s. */
  idleMs?: number
  /** Bytes of the answer's body. Default: no limit, for what is streamed into something that has one. */
  maxBytes?: number
  signal?: AbortSignal
}

export interface EgressResponse {
  status: number
  headers: IncomingHttpHeaders
  /** Where the answer came from, after redirects. */
  url: string
  /** To be read to its end or destroyed. Ends with an error where fewer bytes came than were promised. */
  body: Readable
}

/** The one way out of this node (invariant 12). */
export interface Egress {
  /** For libraries that take an agent. Redirects are theirs: credentials across hosts too, so prefer {@link Egress.request}. */
  readonly agents: Agents
  /**
   * @throws {EgressError} and whatever the network says, as it is
   */
  request(url: string | URL, options?: EgressRequest): Promise<EgressResponse>
  /** Closes idle and busy connections. */
  close(): void
}

/**
 * Proxies that the environment names (`HTTP_PROXY` and the like) are not used: they would be dialled in place of the address that
 * was judged.
 */
export function createEgress(init: EgressInit = {}): Egress {
  const { lookup, ca, maxSockets = 32 } = init
  const rule = { named: new NamedHosts(init.named ?? []), ...(lookup && { lookup }) }
  const options = { keepAlive: true, timeout: 60_000, maxSockets }
  const agents: Agents = {
    http: new GuardedHttpAgent(rule, options),
    https: new GuardedHttpsAgent(rule, { ...options, ...(ca && { ca: [...ca] }) })
  }
  return {
    agents,
    request: async (url, asked = {}) => await follow(agents, readUrl(url), asked),
    close: () => {
      agents.http.destroy()
      agents.https.destroy()
    }
  }
}

interface Hop {
  url: URL
  method: string
  headers: Readonly<Record<string, string>>
  body: EgressRequest['body']
}

async function follow(agents: Agents, first: URL, asked: EgressRequest): Promise<EgressResponse> {
  const { redirects = 5, headersMs = 20_000, signal } = asked
  let hop: Hop = {
    url: first,
    method: (asked.method ?? 'GET').toUpperCase(),
    headers: asked.headers ?? {},
    body: asked.body
  }
  for (let followed = 0; ; followed++) {
    const message = await dial(agents, hop.url, { ...hop, headersMs, ...(signal && { signal }) })
    const location = redirects === 'none' ? undefined : locationOf(message)
    if (location === undefined) return responseOf(message, hop.url, hop.method, asked)
    message.destroy()
    if (followed === redirects)
      throw new EgressError('TOO_MANY_REDIRECTS', `${first.host} redirects more than ${redirects} times`)
    hop = nextHop(hop, location, message.statusCode ?? 0, asked.secretHeaders)
  }
}

const redirecting = new Set([301, 302, 303, 307, 308])

function locationOf(message: IncomingMessage): string | undefined {
  return redirecting.has(message.statusCode ?? 0) ? message.headers.location : undefined
}

/** RFC 9110, 15.4: 303 is fetched by GET, and so is, as everybody does, what answers a POST with 301 or 302. */
function nextHop(hop: Hop, location: string, status: number, secret: readonly string[] | undefined): Hop {
  const url = URL.parse(location, hop.url.href)
  if (url === null || !isWeb(url))
    throw new EgressError('REDIRECT_INVALID', `${hop.url.host} redirects to something that is no http or https URL`)
  // Whoever redirects chooses no credentials either.
  url.username = ''
  url.password = ''
  const headers = headersAfter(hop.url, url, hop.headers, secret)
  const reading = hop.method === 'GET' || hop.method === 'HEAD'
  if ((status === 303 && !reading) || (status < 303 && hop.method === 'POST'))
    return { url, method: 'GET', headers: withoutContent(headers), body: undefined }
  if (hop.body instanceof Readable)
    throw new EgressError('REDIRECT_INVALID', `${hop.url.host} redirects a body that can be sent only once`)
  return { ...hop, url, headers }
}

function withoutContent(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !/^(?:content-.*|transfer-encoding|expect)$/i.test(name))
  )
}

function responseOf(message: IncomingMessage, url: URL, method: string, asked: EgressRequest): EgressResponse {
  const { maxBytes = Number.POSITIVE_INFINITY, idleMs = 60_000 } = asked
  const promised = Number(message.headers['content-length'] ?? 0)
  if (method !== 'HEAD' && promised > maxBytes) {
    message.destroy()
    throw new EgressError('TOO_LARGE', `${url.host} answers with ${promised} bytes, and at most ${maxBytes} are read`)
  }
  const body = boundedBody(message, { maxBytes, idleMs, host: url.host })
  return { status: message.statusCode ?? 0, headers: message.headers, url: url.href, body }
}

function readUrl(text: string | URL): URL {
  const url = URL.parse(String(text))
  if (url === null || !isWeb(url))
    throw new EgressError('URL_INVALID', 'not an http or https URL; only these are called')
  if (url.username !== '' || url.password !== '')
    throw new EgressError('URL_INVALID', `the URL of ${url.host} has a user or password in it; they go in a header`)
  return url
}

function isWeb(url: URL): boolean {
  return url.protocol === 'https:' || url.protocol === 'http:'
}
