import type { Config } from '../config.ts'

/** What stands before the name of a repository, as far as the configuration tells: `registry.example`, `localhost:5005`. */
export async function registryHost({ http }: Config): Promise<string | undefined> {
  if (http.host !== undefined) return URL.parse(http.host)?.host
  const { isLoopback, listenAddresses } = await import('../config.ts')
  const addresses = listenAddresses(http).filter(address => address.kind === 'tcp' && address.port !== 0)
  const [address] = [...addresses.filter(isLoopback), ...addresses]
  if (address?.kind !== 'tcp') return undefined
  const everywhere = address.host === undefined || address.host === '0.0.0.0' || address.host === '::'
  if (everywhere || isLoopback(address)) return `localhost:${address.port}`
  return address.host?.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}
