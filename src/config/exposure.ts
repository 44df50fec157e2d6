import { isLoopback, readAddress } from './address.ts'
import type { Config } from './schema.ts'

/**
 * The setting by which other machines can reach the registry, e.g. `http.addr :5000`; `undefined` when only this one can. A
 * proxy on this machine is trusted to speak for others because there are others.
 */
export function exposedBy(config: Config): string | undefined {
  const address = exposedAddress(config)
  if (address !== undefined) return `http.addr ${address}`
  return config.http.trustproxy.length > 0 ? 'http.trustproxy' : undefined
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
