import type { IncomingMessage } from 'node:http'
import type { Client, ClientOf } from './source.ts'

export interface LocationInit {
  /** `http.prefix`: what stands before `/v2`, e.g. `/registry/`. Default `/`. */
  prefix?: string
  /** `http.host`: base of absolute URLs, e.g. `https://registry.example.org:8443`; its path, if any, replaces the prefix. */
  host?: string
  /** `http.relativeurls`. Default: relative unless `host` is given. */
  relativeUrls?: boolean
}

export interface LocationsComponents {
  /** Says under which name and scheme a client reached this node. */
  clientOf: ClientOf
}

/** Builds what stands in `Location`: a path, or a URL when the node was told to give those. */
export interface Locations {
  /** Before `/v2`; empty or starting with a slash, never ending in one. */
  readonly prefix: string
  /** @param path what follows `/v2`, starting with a slash. */
  of(request: IncomingMessage, path: string): string
  /** An absolute URL always. @param path what follows the prefix, starting with a slash. */
  absolute(request: IncomingMessage, path: string): string
  /** An absolute URL at the same host. @param path starting with a slash. */
  atRoot(request: IncomingMessage, path: string): string
}

/** @throws {TypeError} when `host` is no http or https URL */
export function createLocations({ clientOf }: LocationsComponents, init: LocationInit = {}): Locations {
  const prefix = trimSlashes(init.prefix ?? '')
  const base = init.host === undefined ? undefined : baseOf(init.host, prefix)
  const origin = base === undefined ? undefined : new URL(base).origin
  const atRoot: Locations['atRoot'] = (request, path) =>
    `${origin ?? (originOf(clientOf(request)) || ownOrigin(request))}${path}`
  const absolute: Locations['absolute'] = (request, path) =>
    base === undefined ? atRoot(request, `${prefix}${path}`) : `${base}${path}`
  const shared = { prefix, absolute, atRoot }
  if (init.relativeUrls ?? base === undefined) return { ...shared, of: (_, path) => `${prefix}/v2${path}` }
  if (base !== undefined) return { ...shared, of: (_, path) => `${base}/v2${path}` }
  return { ...shared, of: (request, path) => `${originOf(clientOf(request))}${prefix}/v2${path}` }
}

function trimSlashes(prefix: string): string {
  const inner = prefix.replace(/^\/+|\/+$/g, '')
  return inner === '' ? '' : `/${inner}`
}

function baseOf(host: string, prefix: string): string {
  const url = URL.canParse(host) ? new URL(host) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new TypeError(`http.host is no http(s) URL: ${host}`)
  const path = trimSlashes(url.pathname)
  return url.origin + (path === '' ? prefix : path)
}

/** Scheme and host as the client sees them; empty, so relative, when the host is none. */
function originOf({ scheme, host }: Client): string {
  return host === undefined ? '' : `${scheme}://${host}`
}

/** For a client that says no plausible host: where its connection ends. */
function ownOrigin({ socket }: IncomingMessage): string {
  const { localAddress = 'localhost', localPort } = socket
  const host = localAddress.includes(':') ? `[${localAddress}]` : localAddress
  return `${'encrypted' in socket ? 'https' : 'http'}://${host}${localPort === undefined ? '' : `:${localPort}`}`
}
