import { createHash, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { InvalidText } from './credential-file.ts'

/** A key that the operator trusts. */
export interface TrustedKey {
  key: KeyObject
  /** DER of the key, by which it is compared: equal names say nothing (CVE-2025-24976). */
  der: Buffer
  /** Names a token may give it. */
  ids: readonly string[]
  /** `alg` of a JWK: the one algorithm it is for. */
  algorithm?: string
}

const mostKeys = 1000
const smallestRsa = 2048

/** What a `rootcertbundle` holds: PEM certificates, and PEM public keys, which distribution ignores. */
export interface RootBundle {
  certificates: readonly X509Certificate[]
  keys: readonly TrustedKey[]
}

/** @throws {InvalidText} naming which of the PEM blocks */
export async function parseRootBundle(text: string): Promise<RootBundle> {
  const certificates: X509Certificate[] = []
  const keys: TrustedKey[] = []
  let count = 0
  for (const { label, block } of pemBlocks(text)) {
    if (++count > mostKeys) throw new InvalidText(`more than ${mostKeys} PEM blocks`)
    if (label === 'CERTIFICATE') {
      const certificate = readPem(count, block, pem => new X509Certificate(pem))
      certificates.push(certificate)
      keys.push(await trustedKey(certificate.publicKey, `PEM block ${count}`))
    } else if (label === 'PUBLIC KEY' || label === 'RSA PUBLIC KEY') {
      keys.push(await trustedKey(readPem(count, block, createPublicKey), `PEM block ${count}`))
    } else if (label.endsWith('PRIVATE KEY')) {
      throw new InvalidText(`PEM block ${count} is a private key: only the token server may have it`)
    }
  }
  if (keys.length === 0) throw new InvalidText('it has no PEM certificate and no PEM public key')
  return { certificates, keys }
}

/** @throws {InvalidText} naming which of the keys */
export async function parseJwks(text: string): Promise<TrustedKey[]> {
  const set = parseJson(text)
  const list = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined
  if (!Array.isArray(list)) throw new InvalidText('it is no JSON Web Key Set: {"keys": [ … ]} (RFC 7517, section 5)')
  if (list.length === 0 || list.length > mostKeys)
    throw new InvalidText(`it has ${list.length} keys, not 1 to ${mostKeys}`)
  const keys: TrustedKey[] = []
  for (const [at, jwk] of list.entries()) keys.push(await parseJwk(jwk, `key ${at + 1}`))
  return keys
}

async function parseJwk(jwk: unknown, place: string): Promise<TrustedKey> {
  if (typeof jwk !== 'object' || jwk === null) throw new InvalidText(`${place} is no object`)
  const text = (name: string): string | undefined => {
    const value: unknown = Reflect.get(jwk, name)
    return typeof value === 'string' ? value : undefined
  }
  if (text('kty') === 'oct')
    throw new InvalidText(`${place} is a shared secret, with which everybody who can check a token could make one`)
  const use = text('use')
  if (use !== undefined && use !== 'sig') throw new InvalidText(`${place} is not for signatures (use: ${use})`)
  const key = keyOfJwk(jwk)
  if (key === undefined) throw new InvalidText(`${place} cannot be read as a public key`)
  const trusted = await trustedKey(key, place)
  const [kid, algorithm] = [text('kid'), text('alg')]
  return {
    ...trusted,
    ids: kid === undefined ? trusted.ids : [kid, ...trusted.ids],
    ...(algorithm === undefined ? {} : { algorithm })
  }
}

/** The public key of a JWK, whatever else stands there; `undefined` for what is none. */
export function keyOfJwk(jwk: object): KeyObject | undefined {
  const { kty, n, e, crv, x, y }: JWK = jwk
  try {
    const key = { kty, n, e, crv, x, y }
    return createPublicKey({
      key: Object.fromEntries(Object.entries(key).filter(([, it]) => it !== undefined)),
      format: 'jwk'
    })
  } catch {
    return undefined
  }
}

export function derOf(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' })
}

async function trustedKey(key: KeyObject, place: string): Promise<TrustedKey> {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type !== 'rsa' && type !== 'ec' && type !== 'ed25519')
    throw new InvalidText(`${place} is of kind ${type ?? 'unknown'}: RSA, EC and Ed25519 are read`)
  if (type === 'rsa' && (details?.modulusLength ?? 0) < smallestRsa)
    throw new InvalidText(
      `${place} is an RSA key of ${details?.modulusLength} bits: at least ${smallestRsa} are needed`
    )
  const der = derOf(key)
  return { key, der, ids: [await thumbprint(key, place), libtrustId(der)] }
}

/** RFC 7638, the name that token servers for distribution 3 use. */
async function thumbprint(key: KeyObject, place: string): Promise<string> {
  try {
    return await calculateJwkThumbprint(key)
  } catch {
    throw new InvalidText(`${place} is of a kind that no JSON Web Token is signed with`)
  }
}

/** The name that token servers for distribution 2 use: `ABCD:EFGH:…`, 240 bits of SHA-256 over the key in base 32. */
function libtrustId(der: Buffer): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const digest = createHash('sha256').update(der).digest().subarray(0, 30)
  let bits = 0
  let held = 0
  let text = ''
  for (const byte of digest) {
    held = (held << 8) | byte
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(held >> (bits - 5)) & 31]
    held &= 31
  }
  return text.match(/.{4}/g)?.join(':') ?? ''
}

function* pemBlocks(text: string): Generator<{ label: string; block: string }> {
  const begin = '-----BEGIN '
  for (let at = text.indexOf(begin); at >= 0; at = text.indexOf(begin, at + 1)) {
    const label = text.slice(at + begin.length, text.indexOf('-----', at + begin.length))
    const end = `-----END ${label}-----`
    const ends = text.indexOf(end, at)
    if (ends < 0) throw new InvalidText('a PEM block has no end')
    yield { label, block: text.slice(at, ends + end.length) }
  }
}

function readPem<T>(count: number, block: string, read: (pem: string) => T): T {
  try {
    return read(block)
  } catch {
    throw new InvalidText(`PEM block ${count} cannot be read`)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new InvalidText('it is no JSON')
  }
}
