import type { HeaderList } from './exchange.ts'

/**
 * What browsers are told with every answer. Blobs and manifests are whatever somebody pushed: nothing guesses their type
 * (Fetch, section 3.5), none of them runs when it is opened as a page (CSP 3: no source, and a sandbox with an origin of its
 * own), and no page elsewhere embeds them (Fetch, section 3.7). Routes that serve pages of their own replace what they need to.
 */
const defaults: readonly (readonly [name: string, value: string])[] = [
  ['X-Content-Type-Options', 'nosniff'],
  ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'; sandbox"],
  ['Cross-Origin-Resource-Policy', 'same-origin']
]

/** RFC 6797. Browsers heed it on TLS only, and for a host whatever the port. */
const transport = ['Strict-Transport-Security', 'max-age=31536000'] as const

/** Headers of every response, by connection. */
export interface StandingHeaders {
  plain: HeaderList
  /** On TLS that other machines reach; on loopback the name would be `localhost`, and every other server's there. */
  secure: HeaderList
}

/** What the operator configures stands in place of a default of that name, never beside it. */
export function standingHeaders(configured: Readonly<Record<string, readonly string[]>> = {}): StandingHeaders {
  const given = new Set(Object.keys(configured).map(name => name.toLowerCase()))
  const own = (list: typeof defaults) => list.filter(([name]) => !given.has(name.toLowerCase())).flat()
  const plain = ['Docker-Distribution-Api-Version', 'registry/2.0', ...own(defaults)]
  for (const [name, values] of Object.entries(configured)) for (const value of values) plain.push(name, value)
  return { plain, secure: [...plain, ...own([transport])] }
}

/** For answers outside any exchange, to what never became a request. */
export const bareSecurityHeaders: Readonly<Record<string, string>> = Object.fromEntries(defaults)
