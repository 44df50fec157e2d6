import { createHmac, createSecretKey, hash, randomBytes } from 'node:crypto'
import type { PasswordEntry } from './ports.ts'

/**
 * Turns a credential into the key it is remembered under: HMAC-SHA-256 with a key of this process. Memory then holds no
 * passwords, and how long a look-up takes says nothing about what is kept.
 */
export type Fingerprint = (...parts: readonly string[]) => string

export function createFingerprint(): Fingerprint {
  const key = createSecretKey(randomBytes(32))
  return (...parts) => createHmac('sha256', key).update(parts.join('\0')).digest('base64')
}

/** Names a user's password as it is now; another password or another hash of the same one gives another name. */
export function credentialOf(entry: PasswordEntry): string {
  return hash('sha256', `${entry.name}\0${entry.hash}`, 'base64url')
}

/** Hex SHA-256, under which a secret of 160 random bits is stored. */
export function hashOfSecret(secret: string): string {
  return hash('sha256', secret, 'hex')
}
