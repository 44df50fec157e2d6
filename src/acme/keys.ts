import { createPrivateKey, generateKeyPairSync } from 'node:crypto'

/** A new P-256 key, PEM in PKCS #8. */
export function createKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return pkcs8(privateKey.export({ type: 'pkcs8', format: 'pem' }))
}

/** Other programs write a key in the form of its kind (`EC PRIVATE KEY`). */
export function pkcs8(pem: string | Buffer): string {
  return createPrivateKey(pem).export({ type: 'pkcs8', format: 'pem' }).toString()
}
