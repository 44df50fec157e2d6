import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

/** Who makes a request and what they call this node, as far as it can be believed. */
export interface Client {
  /** IPv4 without the `::ffff:` of a dual socket; empty for a client of a unix socket that no proxy speaks for. */
  address: string
  /** What the client speaks, which a proxy that ends TLS knows better than this node. */
  scheme: 'http' | 'https'
  /** Host and port as the client wrote them; `undefined` when that is no plausible host. */
  host: string | undefined
}

/** The one answer to "who is this", for logs, limits, back-off, audit and absolute URLs. */
export type ClientOf = (request: IncomingMessage) => Client

export interface SourceInit {
  /** `http.trustproxy`: addresses, networks, `loopback`, `private`. Default: nobody but unix sockets. */
  trustProxy?: readonly string[]
}

/** What the words of `http.trustproxy` stand for: RFC 1122, section 3.2.1.3; RFC 1918 and RFC 4193. */
const words: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']
}

/** Proxies that one request may have come through; what is said of more is not read. */
const maxHops = 32

/**
 * Forwarded headers are anybody's to write, so they count only from a trusted proxy, and of a chain only the part that
 * trusted ones wrote: the client is the rightmost address that is not trusted itself.
 *
 * @throws {TypeError} for what is neither an address, a network nor one of the words
 */
export function createClientOf(init: SourceInit = {}): ClientOf {
  const isTrusted = createIsProxy(init)
  return request => {
    const { socket } = request
    const peer = plainAddress(socket.remoteAddress ?? '')
    const own: Client = {
      address: peer,
      scheme: 'encrypted' in socket ? 'https' : 'http',
      host: plausible(request.headers.host)
    }
    const proxy = peer === '' ? isUnix(request) : isTrusted(peer)
    return proxy ? forwarded(request, own, isTrusted) : own
  }
}

/**
 * Whether an address is that of a proxy to be believed.
 *
 * @throws {TypeError} for what is neither an address, a network nor one of the words
 */
export function createIsProxy(init: SourceInit = {}): (address: string) => boolean {
  const trusted = trustedNetworks(init.trustProxy ?? [])
  if (trusted === undefined) return () => false
  return address => {
    const plain = plainAddress(address)
    return isIP(plain) !== 0 && trusted.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')
  }
}

/** Who opens the socket's file already has the node's files, and is a proxy as a rule. */
function isUnix({ socket }: IncomingMessage): boolean {
  return socket.remoteFamily === undefined && socket.localPort === undefined && !socket.destroyed
}

function trustedNetworks(entries: readonly string[]): BlockList | undefined {
  if (entries.length === 0) return undefined
  const list = new BlockList()
  for (const entry of entries.flatMap(entry => words[entry.toLowerCase()] ?? [entry])) {
    const [address = '', length] = entry.split('/', 2)
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    const longest = family === 'ipv6' ? 128 : 32
    const prefix = length === undefined ? longest : Number(length)
    if (isIP(address) === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > longest || length === '')
      throw new TypeError(`http.trustproxy: ${entry} is no address and no network`)
    list.addSubnet(address, prefix, family)
  }
  return list
}

function plainAddress(address: string): string {
  if (!address.includes(':')) return address
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address)?.[1]
  return mapped ?? address.split('%', 1)[0] ?? ''
}

/** One hop, as the proxy that took the request from it wrote it down. */
interface Hop {
  for?: string
  proto?: string
  host?: string
}

function forwarded(request: IncomingMessage, own: Client, isTrusted: (address: string) => boolean): Client {
  const hops = hopsOf(request)
  let { address } = own
  let seen: Hop = {}
  for (const hop of hops.slice(-maxHops).reverse()) {
    seen = { ...seen, ...hop }
    const next = addressOf(hop.for)
    // "unknown" and made-up names (RFC 7239, section 6): whoever said so is the last one known.
    if (next === undefined) break
    address = next
    if (!isTrusted(next)) break
  }
  const scheme = seen.proto?.toLowerCase()
  return {
    address,
    scheme: scheme === 'http' || scheme === 'https' ? scheme : own.scheme,
    host: seen.host === undefined ? own.host : plausible(seen.host)
  }
}

/**
 * The de facto headers before `Forwarded` (RFC 7239): nearly every proxy writes the former and passes on whatever a client
 * put into the latter.
 */
function hopsOf({ headers }: IncomingMessage): Hop[] {
  const addresses = listOf(headers['x-forwarded-for'])
  const protocols = listOf(headers['x-forwarded-proto'])
  const hosts = listOf(headers['x-forwarded-host'])
  if (addresses.length + protocols.length + hosts.length === 0) return parseForwarded(textOf(headers.forwarded))
  // Counted from the right. Many proxies replace the latter two, so there may be fewer of them: the leftmost stays.
  const fromRight = (list: readonly string[], at: number) => list[Math.max(0, list.length - 1 - at)]
  return Array.from({ length: Math.max(1, addresses.length) }, (_, at) => {
    const address = addresses[addresses.length - 1 - at]
    const [proto, host] = [fromRight(protocols, at), fromRight(hosts, at)]
    return { ...(address && { for: address }), ...(proto && { proto }), ...(host && { host }) }
  }).reverse()
}

function textOf(header: string | string[] | undefined): string {
  return Array.isArray(header) ? header.join(',') : (header ?? '')
}

function listOf(header: string | string[] | undefined): string[] {
  const text = textOf(header)
  return text === '' ? [] : text.split(',').map(entry => entry.trim())
}

/** A pair of `Forwarded`, its value a token or between quotes. */
const pair = /^([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*))$/

/**
 * `Forwarded: for=192.0.2.60;proto=https;host=a.example, for="[2001:db8::1]:4711"`. Split at every comma, since a quote that
 * a client opened must not swallow what proxies add to the right of it; nothing of use has a comma in it.
 */
function parseForwarded(text: string): Hop[] {
  return text === '' ? [] : text.split(',').map(parseElement)
}

function parseElement(element: string): Hop {
  const hop: Record<string, string> = {}
  for (const text of element.split(';')) {
    if (text.trim() === '') continue
    const match = pair.exec(text.trim())
    if (match === null) return {}
    hop[(match[1] ?? '').toLowerCase()] = match[2]?.replace(/\\(.)/g, '$1') ?? match[3] ?? ''
  }
  return hop
}

/** Without the port that some proxies add; `undefined` for what is no address. */
function addressOf(node: string | undefined): string | undefined {
  if (node === undefined) return undefined
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(node)?.[1] ?? /^([\d.]+):\d+$/.exec(node)?.[1] ?? node
  const address = plainAddress(bare)
  return isIP(address) === 0 ? undefined : address
}

const authority = /^[A-Za-z0-9._~[\]:-]{1,255}$/

function plausible(host: string | undefined): string | undefined {
  return host !== undefined && authority.test(host) ? host : undefined
}
