import { chmod, link, lstat, open, readFile, realpath, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { makeFolder } from '../file-access.ts'
import { draftIn, removeStaleDrafts } from './key-drafts.ts'
import { decodeKey, KeyFormatError } from './key-format.ts'
import { IpfsSettingError } from './setting-error.ts'

/**
 * The key of a file, in either of its forms.
 *
 * @throws {KeyFormatError} when it holds none
 * @throws the operating system's error when it cannot be read
 */
export async function readKeyFile(file: string): Promise<Ed25519PrivateKey> {
  return decodeKey(await readFile(file))
}

/**
 * A new file, mode 0600, whole or not at all even over a crash.
 *
 * @throws EEXIST when there is one
 * @throws {IpfsSettingError} `ipfs.key.file`, when it is a link to a file that is not there
 */
export async function writeNewKeyFile(file: string, key: Ed25519PrivateKey): Promise<void> {
  await refuseLinkToNothing(file)
  await makeFolder(dirname(file))
  await throughDraft(file, privateKeyToProtobuf(key), draft => link(draft, file))
}

/**
 * Puts another key in a file's place. What was there stays beside it, under the same name with its peer ID behind; at every
 * moment, a crash included, the file is the old one or the new one.
 *
 * @returns where the old one is now; `undefined` when there was none
 * @throws {IpfsSettingError} `ipfs.key.file`, when the file cannot be replaced
 */
export async function replaceKeyFile(file: string, key: Ed25519PrivateKey): Promise<string | undefined> {
  // Behind a link there may be a mounted secret: that is what has to change, not the link.
  const target = await realpath(file).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (target === undefined) {
    await writeNewKeyFile(file, key)
    return undefined
  }
  try {
    const kept = await keepBeside(target)
    await throughDraft(target, privateKeyToProtobuf(key), draft => rename(draft, target))
    return kept
  } catch (cause) {
    const code = String(codeOf(cause))
    if (!fixed.has(code)) throw cause
    const advice = 'change it where it comes from, or name another file'
    const message = `${target} cannot be replaced (${code}), as a file mounted alone or read-only cannot: ${advice}`
    throw new IpfsSettingError('ipfs.key.file', message, { cause })
  }
}

/** What the system says of a file that somebody else puts there, such as a container's secret. */
const fixed = new Set(['EXDEV', 'EBUSY', 'EROFS', 'EACCES', 'EPERM'])

async function keepBeside(file: string): Promise<string> {
  const old = await readKeyFile(file).catch((error: unknown) => {
    if (error instanceof KeyFormatError) return undefined
    throw error
  })
  // One peer ID is one key, so a copy that is there already is this one.
  const name = old === undefined ? `unreadable-${Date.now()}` : old.publicKey.toString()
  const kept = join(dirname(file), `${basename(file)}.${name}`)
  await chmod(file, 0o600)
  await link(file, kept).catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error
  })
  await syncFolder(dirname(file))
  return kept
}

async function throughDraft(file: string, bytes: Uint8Array, place: (draft: string) => Promise<void>): Promise<void> {
  await removeStaleDrafts(dirname(file))
  const draft = draftIn(dirname(file))
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
    await handle.close()
    await place(draft)
  } finally {
    await handle.close().catch(() => {})
    await rm(draft, { force: true })
  }
  await syncFolder(dirname(file))
}

/**
 * Whoever calls this has seen that the file cannot be read: a secret that should have been mounted.
 *
 * @throws {IpfsSettingError} `ipfs.key.file`, when it is a link to a file that is not there
 */
export async function refuseLinkToNothing(file: string): Promise<void> {
  if (!(await isLinkToNothing(file))) return
  const message = `${file} is a link to nothing: put the key where it points, or remove the link for a new one`
  throw new IpfsSettingError('ipfs.key.file', message)
}

async function isLinkToNothing(file: string): Promise<boolean> {
  const found = await lstat(file).catch(() => undefined)
  if (found?.isSymbolicLink() !== true) return false
  return realpath(file).then(
    () => false,
    error => codeOf(error) === 'ENOENT'
  )
}

async function syncFolder(folder: string): Promise<void> {
  const opened = await open(folder)
  await opened.sync().finally(() => opened.close())
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
