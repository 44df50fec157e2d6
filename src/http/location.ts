import type { IncomingMessage } from 'node:http'

export interface LocationInit {
  /** `http.prefix`: what stands before `/v2`, e.g. `/registry/`. Default `/`. */
  prefix?: string
  /** `http.host`: base of absolute URLs, e.g. `https://registry.example.org:8443`; its path, if any, replaces the prefix. */
  host?: string
  /** `http.relativeurls`. Default: relative unless `host` is given. */
  relativeUrls?: boolean
}

/** Builds what stands in `Location`: a path, or a URL when the node was told to give those. */
export interface Locations {
  /** Before `/v2`; empty or starting with a slash, never ending in one. */
  readonly prefix: string
  /** @param path what follows `/v2`, starting with a slash. */
  of(request: IncomingMessage, path: string): string
}

/** @throws {TypeError} when `host` is no http or https URL */
export function createLocations(init: LocationInit): Locations {
  const prefix = trimSlashes(init.prefix ?? '')
  if (init.relativeUrls ?? init.host === undefined) return { prefix, of: (_, path) => `${prefix}/v2${path}` }
  if (init.host !== undefined) {
    const base = baseOf(init.host, prefix)
    return { prefix, of: (_, path) => `${base}/v2${path}` }
  }
  return { prefix, of: (request, path) => `${originOf(request)}${prefix}/v2${path}` }
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

const authority = /^[A-Za-z0-9._~[\]:-]{1,255}$/

/**
 * Scheme and host as the client sees them: `Forwarded` (RFC 7239) before `X-Forwarded-Proto` and `X-Forwarded-Host` before
 * the connection's own, the first (outermost) proxy's word of each. Empty, so relative, when none is a plausible host.
 */
function originOf(request: IncomingMessage): string {
  const own = 'encrypted' in request.socket ? 'https' : 'http'
  const forwarded = first(request.headers.forwarded)
  const proto =
    (forwarded === undefined ? first(request.headers['x-forwarded-proto']) : parameter(forwarded, 'proto')) ?? own
  const host =
    (forwarded === undefined ? first(request.headers['x-forwarded-host']) : parameter(forwarded, 'host')) ??
    request.headers.host
  if (host === undefined || !authority.test(host)) return ''
  return `${/^https?$/i.test(proto) ? proto.toLowerCase() : own}://${host}`
}

function first(header: string | string[] | undefined): string | undefined {
  const value = Array.isArray(header) ? header[0] : header
  const element = value?.split(',', 1)[0]?.trim()
  return element === '' ? undefined : element
}

function parameter(element: string, name: string): string | undefined {
  for (const pair of element.split(';')) {
    const equals = pair.indexOf('=')
    if (pair.slice(0, equals).trim().toLowerCase() === name)
      return pair
        .slice(equals + 1)
        .trim()
        .replace(/^"(.*)"$/, '$1')
  }
  return undefined
}
