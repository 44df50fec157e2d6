import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { mendReading, mendWriting, tryFolder } from '../../file-access.ts'
import type { Log } from '../../registry/ports.ts'
import { removeStaleDrafts } from '../key-drafts.ts'
import { readKeyFile, refuseLinkToNothing, writeNewKeyFile } from '../key-file.ts'
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
    if (!isCode(error, 'ENOENT')) throw asSettingError(`cannot use ${file}`, error, mendReading)
  }
  const key = await generateKeyPair('Ed25519')
  try {
    await writeNewKeyFile(file, key)
    return key
  } catch (error) {
    // Somebody else made it meanwhile: theirs is the identity.
    if (isCode(error, 'EEXIST')) return await readKey(file, log)
    throw asSettingError(`cannot make ${file}`, error, mendWriting)
  }
}

/**
 * Whether {@link loadKey} could read the key, or make one; changes nothing.
 *
 * @throws {IpfsSettingError} `ipfs.key.file`
 */
export async function checkKey(file: string, log: Log): Promise<void> {
  try {
    await readKey(file, log)
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw asSettingError(`cannot use ${file}`, error, mendReading)
    await refuseLinkToNothing(file)
    await tryFolder(dirname(file)).catch((refused: unknown) => {
      throw asSettingError(`cannot make ${file}`, refused, mendWriting)
    })
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

function asSettingError(what: string, cause: unknown, mend: (error: unknown) => string): Error {
  if (cause instanceof IpfsSettingError) return cause
  const why = cause instanceof Error && 'syscall' in cause ? ` ${mend(cause)}` : `: ${messageOf(cause)}`
  return new IpfsSettingError('ipfs.key.file', `${what}${why}`, { cause })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
