import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { readKeyFile, replaceKeyFile } from './key-file.ts'
import { decodeKey, encodeKey, type KeyFormat, KeyFormatError } from './key-format.ts'

/** A private key, opaque to whoever carries it from one place to another. */
export interface NodeKey {
  /** Base58, `12D3Koo…`. */
  readonly peerId: string
  /** The secret itself. */
  encode(format: KeyFormat): Uint8Array
  /** Makes it the key of a file; see {@link replaceKeyFile}. */
  putInto(file: string): Promise<string | undefined>
}

export async function newKey(): Promise<NodeKey> {
  return nodeKey(await generateKeyPair('Ed25519'))
}

/** @throws {KeyFormatError} */
export async function parseKey(bytes: Uint8Array): Promise<NodeKey> {
  return nodeKey(await decodeKey(bytes))
}

/**
 * The key that a node with this file has; `undefined` before its first start.
 *
 * @throws {KeyFormatError} naming the file
 */
export async function readNodeKey(file: string): Promise<NodeKey | undefined> {
  try {
    return nodeKey(await readKeyFile(file))
  } catch (error) {
    if (error instanceof KeyFormatError) {
      throw new KeyFormatError(`${file} holds no key of a node: ${error.message}`, { cause: error })
    }
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function nodeKey(key: Ed25519PrivateKey): NodeKey {
  return {
    peerId: key.publicKey.toString(),
    encode: format => encodeKey(key, format),
    putInto: file => replaceKeyFile(file, key)
  }
}
