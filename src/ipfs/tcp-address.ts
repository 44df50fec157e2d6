import { multiaddr } from '@multiformats/multiaddr'

const hosts: ReadonlySet<string> = new Set(['ip4', 'ip6', 'dns', 'dns4', 'dns6'])

/**
 * Host and port of a multiaddr that is TCP and nothing above it, which is all that this node listens by; `undefined` for
 * others.
 */
export function tcpAddress(text: string): { host: string; port: number } | undefined {
  const [first, second, ...above] = multiaddr(text)
    .getComponents()
    .filter(({ name }) => name !== 'ip6zone')
  if (first?.value === undefined || !hosts.has(first.name) || second?.name !== 'tcp') return undefined
  return above.every(({ name }) => name === 'p2p') ? { host: first.value, port: Number(second.value) } : undefined
}
