import { createHash, type Hash } from 'node:crypto'
import { RegistryError } from '../errors.ts'

/** Algorithms a blob or manifest can be stored under. */
export type DigestAlgorithm = 'sha256' | 'sha512'

/** `algorithm:encoded`, lower-case hex, e.g. `sha256:e3b0…`. Only {@link parseDigest} and hashing make one. */
export type Digest = `${DigestAlgorithm}:${string}`

/**
 * A digest of any algorithm, by the grammar of the image specification, at most 200 characters: of printable ASCII, without
 * `/`. What is called by one that is no {@link Digest} can be asked for and be a subject, but is stored nowhere.
 */
export type WellFormedDigest = `${string}:${string}`

/** Hex characters of each algorithm's encoded part. */
export const encodedLength: Record<DigestAlgorithm, number> = { sha256: 64, sha512: 128 }

/** Grammar of the image specification's descriptor: component separators and any algorithm. */
const grammar = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/
const hex = /^[a-f0-9]+$/

export function isDigestAlgorithm(value: string): value is DigestAlgorithm {
  return value === 'sha256' || value === 'sha512'
}

/** `undefined` for anything that is not a digest this registry can store. */
export function tryParseDigest(value: string): Digest | undefined {
  const colon = value.indexOf(':')
  if (colon < 0 || value.length > 200) return undefined
  const algorithm = value.slice(0, colon)
  const encoded = value.slice(colon + 1)
  if (!isDigestAlgorithm(algorithm) || encoded.length !== encodedLength[algorithm] || !hex.test(encoded))
    return undefined
  return `${algorithm}:${encoded}`
}

/**
 * @throws {RegistryError} DIGEST_INVALID, saying whether grammar, algorithm or length is wrong
 */
export function parseDigest(value: string): Digest {
  const digest = tryParseDigest(value)
  if (digest !== undefined) return digest
  throw new RegistryError('DIGEST_INVALID', { message: complaint(value), detail: { digest: value.slice(0, 200) } })
}

/** `undefined` for what breaks the grammar, or the form that the algorithm has where it is one of ours. */
export function tryParseWellFormed(value: string): WellFormedDigest | undefined {
  if (!isDigestShaped(value)) return undefined
  const colon = value.indexOf(':')
  const algorithm = value.slice(0, colon)
  return isDigestAlgorithm(algorithm) ? tryParseDigest(value) : `${algorithm}:${value.slice(colon + 1)}`
}

/**
 * @throws {RegistryError} DIGEST_INVALID
 */
export function parseWellFormed(value: string): WellFormedDigest {
  return tryParseWellFormed(value) ?? parseDigest(value)
}

/** Whether something can be stored under the digest. */
export function isStorable(digest: WellFormedDigest): digest is Digest {
  return tryParseDigest(digest) !== undefined
}

function complaint(value: string): string {
  if (value.length > 200 || !grammar.test(value)) return 'invalid digest: expected <algorithm>:<encoded>'
  const algorithm = value.slice(0, value.indexOf(':'))
  if (!isDigestAlgorithm(algorithm)) return `unsupported digest algorithm "${algorithm}": use sha256 or sha512`
  return `invalid ${algorithm} digest: expected ${encodedLength[algorithm]} lower-case hex characters`
}

/** Whether the value has the grammar of a digest, whatever its algorithm. */
export function isDigestShaped(value: string): boolean {
  return value.length <= 200 && grammar.test(value)
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256'
}

export function encodedOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

/** Digest of bytes that are all in memory (manifests, leaves). */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return finishDigest(createHash(algorithm).update(bytes), algorithm)
}

/** Ends a running hash as a digest. */
export function finishDigest(hash: Hash, algorithm: DigestAlgorithm): Digest {
  return `${algorithm}:${hash.digest('hex')}`
}
