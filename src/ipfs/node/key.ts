import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import type { Log } from '../../registry/ports.ts'
import { IpfsSettingError } from '../setting-error.ts'

/**
 * The node's ed25519 key, in libp2p's protobuf form as Kubo and Helia keep theirs. Made with mode 0600, and synced,
 * where the file does not exist: the peer ID is published from the first start on.
 *
 * @throws {IpfsSettingError} `ipfs.key.file`: not readable, not writable, or not an ed25519 key
 */
export async function loadKey(file: string, log: Log): Promise<Ed25519PrivateKey> {
  try {
    return await readKey(file, log)
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw asSettingError(file, error)
  }
  const key = await generateKeyPair('Ed25519')
  try {
    await writeNewKey(file, privateKeyToProtobuf(key))
    return key
  } catch (error) {
    // Somebody else made it meanwhile: theirs is the identity.
    if (isCode(error, 'EEXIST')) return await readKey(file, log)
    throw asSettingError(file, error)
  }
}

async function readKey(file: string, log: Log): Promise<Ed25519PrivateKey> {
  const bytes = await readFile(file)
  const { mode } = await stat(file)
  if ((mode & 0o077) !== 0) {
    log.warn({ file, mode: (mode & 0o777).toString(8) }, 'ipfs.key.file can be read by other users; chmod 600 it')
  }
  const key = parse(bytes)
  if (key?.type !== 'Ed25519') {
    throw new IpfsSettingError(
      'ipfs.key.file',
      `${file} does not hold an ed25519 private key in libp2p's protobuf form`
    )
  }
  return key
}

function parse(bytes: Uint8Array): ReturnType<typeof privateKeyFromProtobuf> | undefined {
  try {
    return privateKeyFromProtobuf(bytes)
  } catch {
    return undefined
  }
}

/** Whole or not at all, even over a crash: written beside, synced, then linked to its name. */
async function writeNewKey(file: string, bytes: Uint8Array): Promise<void> {
  const folder = dirname(file)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const draft = join(folder, `.key-${process.pid}-${Date.now()}`)
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
    await handle.close()
    await link(draft, file)
  } finally {
    await handle.close().catch(() => {})
    await rm(draft, { force: true })
  }
  const opened = await open(folder)
  await opened.sync().finally(() => opened.close())
}

function asSettingError(file: string, cause: unknown): Error {
  if (cause instanceof IpfsSettingError) return cause
  const why = cause instanceof Error ? cause.message : String(cause)
  return new IpfsSettingError('ipfs.key.file', `cannot use ${file}: ${why}`, { cause })
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
