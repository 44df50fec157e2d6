import type { IncomingMessage } from 'node:http'
import { RegistryError } from '../errors.ts'
import type { Client } from './source.ts'

export interface HostCheckInit {
  /** `http.hosts`: names without port, `*.example.org`, or `*` for every one. Default: anything, but not on loopback. */
  hosts?: readonly string[]
  /** `http.host`: URL whose host is a name of this node too. */
  host?: string
}

/**
 * Why this node does not answer to the name it was called by; `undefined` when it does.
 *
 * @param onLoopback - the listener can be reached from this machine only
 */
export type HostCheck = (request: IncomingMessage, client: Client, onLoopback: boolean) => RegistryError | undefined

/** Names remembered as good; the usual node has one to three. */
const maxRemembered = 256

/**
 * Against DNS rebinding. A web page whose name its owner points at 127.0.0.1 is same-origin with whatever answers there, so
 * no rule of the browser protects a node that nobody else can reach; but the page cannot keep its own name out of `Host`.
 * On other addresses names are the operator's to list.
 */
export function createHostCheck(init: HostCheckInit = {}): HostCheck {
  const patterns = (init.hosts ?? []).map(pattern => pattern.toLowerCase())
  const anything = patterns.includes('*')
  const base = init.host === undefined ? undefined : hostnameOf(new URL(init.host).host)
  const remembered = new Set<string>()
  const isOwn = (host: string, request: IncomingMessage): boolean => {
    if (remembered.has(host)) return true
    const name = hostnameOf(host)
    if (name === undefined) return false
    // What a probe calls a container by. Not remembered: each connection has its own.
    if (name === addressName(request.socket.localAddress)) return true
    const good = isLocal(name) || name === base || patterns.some(pattern => matches(pattern, name))
    if (good && remembered.size < maxRemembered) remembered.add(host)
    return good
  }
  return (request, client, onLoopback) => {
    if (anything || (!onLoopback && patterns.length === 0)) return undefined
    const { host } = request.headers
    // HTTP/1.0 may have none; no browser sends that.
    if (host !== undefined && !isOwn(host, request)) return misdirected(host)
    const target = authorityOf(request.url ?? '')
    if (target !== undefined && !isOwn(target, request)) return misdirected(target)
    // Only a proxy that is trusted can say something else than Host.
    if (patterns.length > 0 && client.host !== host && client.host !== undefined && !isOwn(client.host, request))
      return misdirected(client.host)
    return undefined
  }
}

function misdirected(authority: string): RegistryError {
  // User info of a target in absolute form is nobody's to read.
  const host = authority.slice(authority.lastIndexOf('@') + 1)
  const shown = JSON.stringify(host.slice(0, 255))
  return new RegistryError('HOST_UNKNOWN', {
    message: `${shown} is no name of this registry: if it should be, list it in http.hosts of its configuration, or set http.host`,
    detail: { host: host.slice(0, 255), key: 'http.hosts' }
  })
}

/** The authority of a target in absolute form, which counts before `Host` (RFC 9112, section 3.2.2). */
function authorityOf(target: string): string | undefined {
  return target.startsWith('/') ? undefined : /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(target)?.[1]
}

/** In lower case, without port and the dot of a full name; `undefined` for what is no host, e.g. one with user info. */
function hostnameOf(host: string): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[\w.-]+?)\.?(?::\d*)?$/i.exec(host)
  return match?.[1]?.toLowerCase()
}

function addressName(address: string | undefined): string | undefined {
  if (address?.includes(':') !== true) return address
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? `[${address.split('%', 1)[0]}]`
}

/**
 * Names that the owner of a web page cannot point anywhere: `localhost` and below (RFC 6761, section 6.3), loopback
 * addresses, and `host.docker.internal`, `host.containers.internal` and so on, by which containers on a desktop reach the
 * machine's own loopback; `.internal` is in nobody's public DNS.
 */
function isLocal(name: string): boolean {
  if (name === 'localhost' || name.endsWith('.localhost')) return true
  if (/^127(?:\.\d{1,3}){3}$/.test(name)) return true
  if (name.startsWith('[')) return /^\[(?:::1|::ffff:(?:127\.[\d.]+|7f[0-9a-f]{2}:[0-9a-f]{1,4}))\]$/.test(name)
  return /^host\.[a-z0-9-]+\.internal$/.test(name)
}

function matches(pattern: string, name: string): boolean {
  if (pattern.startsWith('*.')) return name.endsWith(pattern.slice(1)) && name.length >= pattern.length
  return name === pattern || name === `[${pattern}]`
}
