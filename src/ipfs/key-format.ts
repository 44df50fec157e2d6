/**
 * The forms in which a node's key leaves it and comes back: those of `ipfs key export` and `ipfs key import`.
 *
 * @module
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { generateKeyPairFromSeed, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'

/** Kubo's names. The first is bytes, also the form of the node's own key file; the second is text. */
export const keyFormats = ['libp2p-protobuf-cleartext', 'pem-pkcs8-cleartext'] as const
export type KeyFormat = (typeof keyFormats)[number]

/** Not a key that a node can have; the message says why, never what was in it. */
export class KeyFormatError extends Error {
  override readonly name = 'KeyFormatError'
}

/** Bytes of the secret half; the public one follows from it. */
const seedBytes = 32
/** What PKCS #8 puts before the seed of an ed25519 key (RFC 8410, section 7). */
const pkcs8Head = Buffer.from('302e020100300506032b657004220420', 'hex')

export function encodeKey(key: Ed25519PrivateKey, format: KeyFormat): Uint8Array {
  if (format === 'libp2p-protobuf-cleartext') return privateKeyToProtobuf(key)
  const der = Buffer.concat([pkcs8Head, key.raw.subarray(0, seedBytes)])
  return Buffer.from(
    createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' })
  )
}

/** Reads either form. @throws {KeyFormatError} */
export async function decodeKey(bytes: Uint8Array): Promise<Ed25519PrivateKey> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  return /^\s*-----BEGIN /.test(text) ? decodePem(text) : decodeProtobuf(bytes)
}

async function decodeProtobuf(bytes: Uint8Array): Promise<Ed25519PrivateKey> {
  const key = tryOrNothing(() => privateKeyFromProtobuf(bytes))
  if (key === undefined) {
    const forms = 'a libp2p private key (protobuf) or a PEM of PKCS #8, as "ipfs key export" writes them'
    throw new KeyFormatError(`it is neither ${forms}`)
  }
  if (key.type !== 'Ed25519') throw wrongType(key.type)
  const whole = await generateKeyPairFromSeed('Ed25519', key.raw.subarray(0, seedBytes))
  // Signing with a public half of somebody else's would give the secret half away.
  if (!whole.publicKey.equals(key.publicKey)) throw new KeyFormatError('its public half does not belong to its secret')
  return whole
}

async function decodePem(text: string): Promise<Ed25519PrivateKey> {
  if (/-----BEGIN (?:ENCRYPTED |OPENSSH )/.test(text) || /^Proc-Type:.*ENCRYPTED/m.test(text)) {
    throw new KeyFormatError('it is encrypted or in OpenSSH’s form: give a PEM of PKCS #8 in clear text')
  }
  const key: KeyObject | undefined = tryOrNothing(() => createPrivateKey(text))
  if (key === undefined) throw new KeyFormatError('its PEM holds no private key in PKCS #8')
  if (key.asymmetricKeyType !== 'ed25519') throw wrongType(key.asymmetricKeyType ?? 'unknown')
  const der = key.export({ format: 'der', type: 'pkcs8' })
  return generateKeyPairFromSeed('Ed25519', der.subarray(pkcs8Head.length, pkcs8Head.length + seedBytes))
}

function wrongType(type: string): KeyFormatError {
  return new KeyFormatError(`it is an ${type} key, and a node has an ed25519 one`)
}

/** The parsers say in their messages what they read. */
function tryOrNothing<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}
