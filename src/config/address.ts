import { isIP } from 'node:net'

/** Where to listen. */
export type ListenAddress =
  /** No `host` means every interface, IPv6 and IPv4. Port 0 means any free one. */
  { kind: 'tcp'; host?: string; port: number } | { kind: 'unix'; path: string }

const hostName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i

/**
 * An address as Go's `net.Listen` takes it: `:5005`, `127.0.0.1:5005`, `localhost:5005`, `[::1]:5005`; a file path when
 * `net` is `unix`. `undefined` when it is none.
 */
export function readAddress(text: string, net: 'tcp' | 'unix' = 'tcp'): ListenAddress | undefined {
  if (net === 'unix')
    return text.length > 0 && Buffer.byteLength(text) <= 104 && !text.includes('\0')
      ? { kind: 'unix', path: text }
      : undefined
  const match = /^(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|([^:[\]]*)):(\d{1,5})$/i.exec(text)
  if (match === null) return undefined
  const [, bracketed, named] = match
  const port = Number(match[3])
  if (port > 65_535) return undefined
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? { kind: 'tcp', host: bracketed, port } : undefined
  if (named === undefined || named === '') return { kind: 'tcp', port }
  const plausible = /^[\d.]+$/.test(named) ? isIP(named) === 4 : hostName.test(named)
  return plausible ? { kind: 'tcp', host: named, port } : undefined
}

/** Whether only this machine can reach the address. */
export function isLoopback(address: ListenAddress): boolean {
  if (address.kind === 'unix') return true
  const host = address.host?.toLowerCase()
  if (host === undefined) return false
  if (isIP(host) === 4) return host.startsWith('127.')
  return host === 'localhost' || host === 'localhost.' || isLoopback6(host)
}

function isLoopback6(host: string): boolean {
  if (isIP(host) !== 6) return false
  // The URL parser brings every spelling of an IPv6 address to the shortest.
  const short = URL.parse(`http://[${host.split('%')[0]}]`)?.hostname
  return short === '[::1]' || (short?.startsWith('[::ffff:7f') ?? false)
}
