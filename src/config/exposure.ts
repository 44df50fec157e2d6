import { isLoopback, readAddress } from './address.ts'
import type { Config } from './schema.ts'

/**
 * The setting that says that other machines can reach the registry, e.g. `http.addr :5000`; `undefined` when only this one
 * can. Behind a proxy on this machine the address does not tell: but whoever trusts a proxy, or gives the node a name that
 * is not this machine's own, has others come by it.
 */
export function exposedBy(config: Config): string | undefined {
  const address = exposedAddress(config)
  if (address !== undefined) return `http.addr ${address}`
  const { trustproxy, host, hosts = [] } = config.http
  if (trustproxy.length > 0) return 'http.trustproxy'
  if (host !== undefined && !isOwnName(new URL(host).hostname)) return `http.host ${host}`
  const name = hosts.find(pattern => !isOwnName(pattern))
  return name === undefined ? undefined : `http.hosts ${name}`
}

/** Whether only this machine is called so (RFC 6761, section 6.3). */
function isOwnName(name: string): boolean {
  const host = name
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
  return host.endsWith('.localhost') || isLoopback({ kind: 'tcp', host, port: 0 })
}

/** The first address that machines beside this one can reach; `undefined` when there is none. */
export function exposedAddress({ http }: Config): string | undefined {
  return http.addr.find(text => {
    const address = readAddress(text, http.net)
    return address !== undefined && !isLoopback(address)
  })
}

/** Whether callers are asked who they are: by `auth`, or because rules tell them apart. */
export function asksWho({ auth, access }: Config): boolean {
  return auth.htpasswd !== undefined || auth.token !== undefined || typeof access === 'object'
}

type AccessRules = Extract<Config['access'], readonly unknown[]>

/** The rules of `access`; none where it is no list. */
export function accessRules({ access }: Config): AccessRules {
  return typeof access === 'object' ? access : []
}

/** What holds while `access` is not set. */
export function accessInForce(config: Config): string {
  if (config.auth.token !== undefined) return 'the tokens of the server at auth.token say what their holders may'
  if (config.auth.htpasswd !== undefined) return 'users pull and push everything'
  return exposedBy(config) === undefined
    ? 'nobody is asked for a password and everybody may do everything'
    : 'nobody is asked for a password and everybody may pull and push'
}
