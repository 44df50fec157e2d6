/** A host and port that the operator's configuration names. */
export interface NamedHost {
  /** A name or an address, IPv6 without brackets; upper and lower case are one. */
  host: string
  port: number
}

/** The host that a URL of the configuration names. */
export function namedHost(url: string | URL): NamedHost {
  const { hostname, port, protocol } = new URL(url)
  return { host: bareHost(hostname), port: port === '' ? defaultPort(protocol) : Number(port) }
}

export function defaultPort(protocol: string): number {
  return protocol === 'https:' ? 443 : 80
}

/** Without the brackets of an IPv6 address and the dot of a full name, in lower case. */
export function bareHost(hostname: string): string {
  return hostname
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase()
}

/** Exactly these hosts at exactly these ports. */
export class NamedHosts {
  readonly #hosts: ReadonlySet<string>

  constructor(hosts: readonly NamedHost[]) {
    this.#hosts = new Set(hosts.map(({ host, port }) => keyOf(host, port)))
  }

  has(host: string, port: number): boolean {
    return this.#hosts.has(keyOf(host, port))
  }
}

function keyOf(host: string, port: number): string {
  return `${bareHost(host)} ${port}`
}
