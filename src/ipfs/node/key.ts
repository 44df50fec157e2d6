import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import type { Log } from '../../registry/ports.ts'
import { removeStaleDrafts } from '../key-drafts.ts'
import { readKeyFile, writeNewKeyFile } from '../key-file.ts'
import { IpfsSettingError } from '../setting-error.ts'

/**
 * The node's ed25519 key, in libp2p's protobuf form as Kubo and Helia keep theirs. Made with mode 0600, and synced,
 * where the file does not exist: the peer ID is published from the first start on.
 *
 * @throws {IpfsSettingError} `ipfs.key.file`: not readable, not writable, or not an ed25519 key
 */
export async function loadKey(file: string, log: Log): Promise<Ed25519PrivateKey> {
  try {
    const key = await readKey(file, log)
    await removeStaleDrafts(dirname(file))
    return key
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw asSettingError(file, error)
  }
  const key = await generateKeyPair('Ed25519')
  try {
    await writeNewKeyFile(file, key)
    return key
  } catch (error) {
    // Somebody else made it meanwhile: theirs is the identity.
    if (isCode(error, 'EEXIST')) return await readKey(file, log)
    throw asSettingError(file, error)
  }
}

async function readKey(file: string, log: Log): Promise<Ed25519PrivateKey> {
  const key = await readKeyFile(file)
  const { mode } = await stat(file)
  if ((mode & 0o077) !== 0) {
    log.warn({ file, mode: (mode & 0o777).toString(8) }, 'ipfs.key.file can be read by other users; chmod 600 it')
  }
  return key
}

function asSettingError(file: string, cause: unknown): Error {
  if (cause instanceof IpfsSettingError) return cause
  const why = cause instanceof Error ? cause.message : String(cause)
  return new IpfsSettingError('ipfs.key.file', `cannot use ${file}: ${why}`, { cause })
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
