import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** Not for the public, by the IANA IPv4 special-purpose registry (RFC 6890 and its successors), and multicast. */
const specialIpv4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4]
]

/**
 * Parts of 2000::/3, the only global unicast there is, that are not it: protocol assignments with Teredo, documentation,
 * and 6to4, whose addresses lead to whatever IPv4 address they hold.
 */
const specialIpv6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20]
]

const special4 = new BlockList()
for (const [network, prefix] of specialIpv4) special4.addSubnet(network, prefix, 'ipv4')
const special6 = new BlockList()
for (const [network, prefix] of specialIpv6) special6.addSubnet(network, prefix, 'ipv6')
const global6 = new BlockList()
global6.addSubnet('2000::', 3, 'ipv6')

/** The IPv4 address is in the last 32 bits: IPv4-mapped (RFC 4291) and the well-known NAT64 prefix (RFC 6052). */
const embedding = [
  [0, 0, 0, 0, 0, 0xffff],
  [0x64, 0xff9b, 0, 0, 0, 0]
]

/**
 * Whether an address, without zone, is one that everybody on the internet means the same host by. Loopback, link-local, private, CGNAT,
 * multicast, unspecified, documentation, 6to4 and what is no address are not. NAT64 leads where the IPv4 address in it
 * does, and is judged by it: on a network without IPv4 it is the only way to most hosts.
 */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !special4.check(address, 'ipv4')
  if (!isIPv6(address) || address.includes('%')) return false
  const groups = groupsOf(address)
  if (embedding.some(prefix => prefix.every((group, at) => groups[at] === group)))
    return isPublicAddress(dotted(groups[6] ?? 0, groups[7] ?? 0))
  return global6.check(address, 'ipv6') && !special6.check(address, 'ipv6')
}

/** The eight groups of a valid IPv6 address; its last 32 bits may be written as IPv4. */
function groupsOf(address: string): number[] {
  const plain = address.replace(/\d+\.\d+\.\d+\.\d+$/, quad => {
    const [a = 0, b = 0, c = 0, d = 0] = quad.split('.').map(Number)
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  })
  const [head = '', tail] = plain.split('::')
  const before = readGroups(head)
  if (tail === undefined) return before
  const after = readGroups(tail)
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]
}

function readGroups(text: string): number[] {
  return text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16))
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}
