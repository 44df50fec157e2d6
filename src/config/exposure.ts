import { isLoopback, readAddress } from './address.ts'
import type { Config } from './schema.ts'

/** The first address by which other machines can reach the registry; `undefined` when only this one can. */
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
