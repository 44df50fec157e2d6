/** Headers that prove who asks. */
const credentialHeaders = new Set(['authorization', 'cookie', 'cookie2', 'proxy-authorization'])

/**
 * The headers of a request that follows a redirect. Credentials stay with the origin (scheme, host and port) that they were
 * given for; once dropped they do not come back, also not when the way leads back.
 */
export function headersAfter(
  from: URL,
  to: URL,
  headers: Readonly<Record<string, string>>,
  secret: readonly string[] = []
): Record<string, string> {
  const drop = new Set([...credentialHeaders, ...secret.map(name => name.toLowerCase())])
  const same = from.origin === to.origin
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'host' && (same || !drop.has(name.toLowerCase())))
  )
}

export interface RealmQuestion {
  /** The registry that the credentials were configured for. */
  registry: URL
  /** What its `WWW-Authenticate` names. */
  realm: string
  /** Origins that the operator's configuration names as token servers of this registry. */
  trusted?: readonly string[]
}

/**
 * The URL of a challenge's realm if it may receive the credentials configured for a registry: when it has the registry's
 * own origin, or one that the operator named, and then only over https unless the operator named plain http. Anything
 * else gets an anonymous request at most: whoever controls an answer of the registry would otherwise choose who is told
 * its password (CVE-2026-33540).
 */
export function realmForCredentials({ registry, realm, trusted = [] }: RealmQuestion): URL | undefined {
  const url = URL.parse(realm)
  if (url === null || url.username !== '' || url.password !== '') return undefined
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return undefined
  if (url.origin === registry.origin) return url
  return trusted.some(origin => URL.parse(origin)?.origin === url.origin) ? url : undefined
}
