import { hash, randomBytes } from 'node:crypto'
import type { PasswordEntry } from './ports.ts'

/**
 * Turns a credential into the key it is remembered under: HMAC-SHA-256 with keys of this process. Memory then holds no
 * passwords, and how long a look-up takes says nothing about what is kept.
 */
export type Fingerprint = (...parts: readonly string[]) => string

/** Bytes that SHA-256 takes at once. */
const block = 64

export function createFingerprint(): Fingerprint {
  // HMAC's own form (RFC 2104, section 2) with two random keys of a block each in place of one that is padded twice: half
  // the time of `createHmac`, and every request passes here.
  const [inner, outer] = [randomBytes(block / 2).toString('hex'), randomBytes(block / 2).toString('hex')]
  return (...parts) => hash('sha256', outer + hash('sha256', inner + parts.join('\0'), 'base64'), 'base64')
}

/** Names a user's password as it is now; another password or another hash of the same one gives another name. */
export function credentialOf(entry: PasswordEntry): string {
  return hash('sha256', `${entry.name}\0${entry.hash}`, 'base64url')
}

/** Hex SHA-256, under which a secret of 160 random bits is stored. */
export function hashOfSecret(secret: string): string {
  return hash('sha256', secret, 'hex')
}
