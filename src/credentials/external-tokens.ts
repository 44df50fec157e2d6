import type { KeyObject, X509Certificate } from 'node:crypto'
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify, type ProtectedHeaderParameters } from 'jose'
import type { Clock, ExternalClaims, ExternalTokens } from '../access/ports.ts'
import { RegistryError } from '../errors.ts'
import type { Log } from '../registry/ports.ts'
import { UntrustedChain, verifyChain } from './certificate-chain.ts'
import { derOf, keyOfJwk, parseJwks, parseRootBundle, type RootBundle, type TrustedKey } from './trusted-keys.ts'
import { bothOpened, type WatchedFileInit, watchFile } from './watched-file.ts'

export interface ExternalTokensComponents {
  clock: Clock
  log: Log
}

export interface ExternalTokensInit extends Pick<WatchedFileInit<unknown>, 'pollMs' | 'settleMs'> {
  issuer: string
  /** What tokens are for (`aud`). */
  service: string
  /** PEM file. This or `jwks`, or both. */
  rootcertbundle?: string
  /** JSON Web Key Set. */
  jwks?: string
  /** Default {@link asymmetric}; others of the list are ignored: a key that only checks cannot be shared with a signer. */
  algorithms?: readonly string[]
}

/** Algorithms of which the checker has a public key only. */
export const asymmetric = [
  'EdDSA',
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512'
] as const

/** Seconds by which clocks may differ. */
const leeway = 30
/** ms after `iat`, or `nbf` where that is missing, for which a token counts, whatever its `exp` says. */
const longestLife = 5 * 60_000
/** Characters; what fits a request's headers. */
const longestToken = 16 * 1024

/** JWTs of an external token server, with keys from files that are read again when they change. */
export interface OpenExternalTokens extends ExternalTokens {
  close(): Promise<void>
}

/** @throws {CredentialFileError} or an `AggregateError` of two */
export async function openExternalTokens(
  components: ExternalTokensComponents,
  init: ExternalTokensInit
): Promise<OpenExternalTokens> {
  const { rootcertbundle, jwks, pollMs, settleMs } = init
  const times = { ...(pollMs === undefined ? {} : { pollMs }), ...(settleMs === undefined ? {} : { settleMs }) }
  const watched = async <T>(path: string | undefined, parse: (text: string) => Promise<T>) =>
    path === undefined ? undefined : watchFile(components, { path, parse, ...times })
  const [bundle, set] = await bothOpened(watched(rootcertbundle, parseRootBundle), watched(jwks, parseJwks))
  const trust = () => ({ ...(bundle?.content ?? noBundle), set: set?.content ?? [] })
  return {
    verify: token => verify(token, trust(), components.clock, init),
    close: async () => {
      await Promise.all([bundle?.close(), set?.close()])
    }
  }
}

interface Trust extends RootBundle {
  set: readonly TrustedKey[]
}

const noBundle: RootBundle = { certificates: [], keys: [] }

async function verify(token: string, trust: Trust, clock: Clock, init: ExternalTokensInit): Promise<ExternalClaims> {
  const now = clock.now()
  const wanted = init.algorithms ?? asymmetric
  if (token.length > longestToken) throw refused('it is longer than 16 KiB')
  try {
    const header = decodeProtectedHeader(token)
    const { payload } = await jwtVerify(token, keyFor(header, trust, now), {
      algorithms: asymmetric.filter(algorithm => wanted.includes(algorithm)),
      issuer: init.issuer,
      audience: init.service,
      requiredClaims: ['exp'],
      clockTolerance: leeway,
      currentDate: new Date(now)
    })
    return claimsOf(payload, now)
  } catch (error) {
    if (error instanceof RegistryError) throw error
    throw refused(explain(error, init))
  }
}

/**
 * The key that must have signed. A token may bring a key or a certificate, but it decides nothing: the key itself must be
 * one that the operator trusts, or be certified by one (CVE-2025-24976).
 */
function keyFor(header: ProtectedHeaderParameters, trust: Trust, now: number): KeyObject {
  const keys = [...trust.set, ...trust.keys]
  if (header.x5c !== undefined) return verifyChain(header.x5c, trust.certificates, now)
  if (header.jwk !== undefined) return keyOfHeader(header.jwk, header, trust, keys, now)
  const { kid } = header
  if (typeof kid !== 'string') throw refused('it names no key (x5c, jwk or kid)')
  return allowed(
    keys.find(({ ids }) => ids.includes(kid)),
    header
  )
}

function keyOfHeader(
  jwk: unknown,
  header: ProtectedHeaderParameters,
  { certificates }: { certificates: readonly X509Certificate[] },
  keys: readonly TrustedKey[],
  now: number
): KeyObject {
  const brought = typeof jwk === 'object' && jwk !== null ? keyOfJwk(jwk) : undefined
  if (brought === undefined) throw refused('the key that it brings cannot be read')
  const der = derOf(brought)
  const x5c: unknown = typeof jwk === 'object' && jwk !== null ? Reflect.get(jwk, 'x5c') : undefined
  if (x5c === undefined)
    return allowed(
      keys.find(key => key.der.equals(der)),
      header
    )
  const certified = verifyChain(x5c, certificates, now)
  if (!derOf(certified).equals(der)) throw refused('the key that it brings is not that of its certificate')
  return certified
}

function allowed(trusted: TrustedKey | undefined, { alg }: ProtectedHeaderParameters): KeyObject {
  if (trusted === undefined) throw refused('it was signed with a key that is not trusted here')
  if (trusted.algorithm !== undefined && trusted.algorithm !== alg)
    throw refused(`its key is for ${trusted.algorithm} alone`)
  return trusted.key
}

function claimsOf(payload: JWTPayload, now: number): ExternalClaims {
  const { sub = '', iat, nbf, exp = 0 } = payload
  if (typeof sub !== 'string' || sub.length > 255) throw refused('its sub is no text of at most 255 characters')
  const issued = iat === undefined ? nbf : iat
  // When it was seen first is no substitute: whoever has it could have that forgotten.
  if (typeof issued !== 'number') throw refused('it does not say when it was issued (iat, nbf)')
  if (issued * 1000 > now + leeway * 1000) throw refused('it was issued in the future: compare the clocks')
  const lifeEnds = issued * 1000 + longestLife
  if (lifeEnds <= now) throw refused('it is older than 5 minutes, which is as long as one counts here: ask for another')
  return {
    subject: sub,
    access: accessOf(payload.access),
    expiresAt: Math.min((exp + leeway) * 1000, lifeEnds),
    issuedAt: issued * 1000
  }
}

function accessOf(access: unknown): ExternalClaims['access'] {
  if (access === undefined || access === null) return []
  if (!Array.isArray(access)) throw refused('its access claim is no list')
  return access.map((entry: unknown) => {
    const field = (name: string): unknown =>
      typeof entry === 'object' && entry !== null ? Reflect.get(entry, name) : undefined
    const [type, name, actions] = [field('type'), field('name'), field('actions') ?? []]
    if (typeof type !== 'string' || typeof name !== 'string' || !Array.isArray(actions))
      throw refused('its access claim has an entry without type, name and actions')
    return { type, name, actions: actions.filter(action => typeof action === 'string') }
  })
}

function explain(error: unknown, { issuer, service }: ExternalTokensInit): string {
  if (error instanceof UntrustedChain) return error.message
  if (error instanceof errors.JWTExpired) return 'it has expired: ask for another'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'its signature is wrong'
  if (error instanceof errors.JOSEAlgNotAllowed) return 'its algorithm is not allowed here'
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'iss') return `it is not of issuer ${JSON.stringify(issuer)}`
    if (error.claim === 'aud') return `it is not for service ${JSON.stringify(service)}`
    return `its claim ${JSON.stringify(error.claim)} is missing or wrong`
  }
  return 'it cannot be read'
}

function refused(why: string): RegistryError {
  return new RegistryError('UNAUTHORIZED', { message: `the bearer token is refused: ${why}` })
}
