/**
 * The data folder of a node: made if it is missing, and held by one process at a time.
 *
 * @module
 */
import { access, constants, mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import {
  acquireLock,
  DataFolderLocked,
  type Holder,
  highestRecord,
  holds,
  type LockRecord,
  replaceRecord
} from './data-folder-lock.ts'
import { identifySelf } from './process-identity.ts'

export { DataFolderLocked, type Holder }

/** The folder cannot be used as it is; the message says what to change. */
export class DataFolderUnusable extends Error {
  override readonly name = 'DataFolderUnusable'
}

export interface DataFolder {
  /** Absolute. */
  readonly path: string
  /**
   * A path to listen on that fits a socket address, `control.sock` in the folder if it can be, else in a private folder
   * under `XDG_RUNTIME_DIR` or the system's temporary folder. Recorded, so that commands given the data folder find it.
   */
  publishControlSocket(): Promise<string>
  /** Lets the folder go. Idempotent. */
  close(): Promise<void>
}

/**
 * Makes the folder if it is missing (mode 0700) and takes it for this process.
 *
 * @throws {DataFolderLocked} when another process has it
 * @throws {DataFolderUnusable} when it is not a folder, or not ours to write
 */
export async function openDataFolder(path: string, init: { command: string }): Promise<DataFolder> {
  const root = resolve(path)
  const locks = join(root, 'lock')
  try {
    await mkdir(locks, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw await explain(root, error)
  }
  const self = await identifySelf()
  const record: LockRecord = { ...self, command: init.command, startedAt: new Date().toISOString() }
  const number = await acquireLock(root, locks, record).catch(async (error: unknown) => {
    throw error instanceof DataFolderLocked ? error : await explain(root, error)
  })
  return new HeldDataFolder(root, join(locks, String(number)), record)
}

/**
 * Whether {@link openDataFolder} could make or write the folder; changes nothing.
 *
 * @throws {DataFolderUnusable}
 */
export async function checkDataFolder(path: string): Promise<{ path: string; exists: boolean }> {
  const root = resolve(path)
  const seen = await nearest(root)
  const exists = seen?.path === root
  try {
    if (seen !== undefined && !seen.isFolder) throw Object.assign(new Error('not a folder'), { code: 'ENOTDIR' })
    await access(seen?.path ?? root, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw await explain(root, error)
  }
  return { path: root, exists }
}

/** The live process that has the folder, if there is one. Takes nothing, needs only read access. */
export async function findHolder(path: string): Promise<Holder | undefined> {
  const root = resolve(path)
  const highest = await highestRecord(join(root, 'lock')).catch(async (error: unknown) => {
    throw await explain(root, error)
  })
  return highest !== undefined && (await holds(highest.record)) ? highest.record : undefined
}

class HeldDataFolder implements DataFolder {
  readonly path: string
  readonly #file: string
  #record: LockRecord
  #closed = false

  constructor(path: string, file: string, record: LockRecord) {
    this.path = path
    this.#file = file
    this.#record = record
  }

  async publishControlSocket(): Promise<string> {
    const near = join(this.path, 'control.sock')
    const socket = fitsSocketAddress(near)
      ? near
      : join(await mkdtemp(join(runtimeFolder(), 'pinnace-')), 'control.sock')
    // The folder is ours, so a socket that is there already belongs to a process that was killed.
    await rm(socket, { force: true })
    this.#record = { ...this.#record, controlSocket: socket }
    await replaceRecord(this.#file, this.#record)
    return socket
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const socket = this.#record.controlSocket
    if (socket !== undefined) {
      await rm(socket, { force: true })
      if (dirname(socket) !== this.path) await rm(dirname(socket), { recursive: true, force: true })
    }
    await replaceRecord(this.#file, { ...this.#record, released: true })
  }
}

/** `sun_path` ends with a NUL inside 108 bytes on Linux, 104 on macOS: one limit for both. */
function fitsSocketAddress(path: string): boolean {
  return Buffer.byteLength(path) <= 103
}

function runtimeFolder(): string {
  const runtime = process.env.XDG_RUNTIME_DIR
  // mkdtemp adds six characters and the socket's name 13 more; a temporary folder deeper than that helps nobody.
  const candidates = [runtime || tmpdir(), tmpdir(), '/tmp']
  return candidates.find(folder => fitsSocketAddress(join(folder, 'pinnace-XXXXXX', 'control.sock'))) ?? '/tmp'
}

async function explain(root: string, error: unknown): Promise<Error> {
  const code = codeOf(error)
  const choose = 'or choose another with storage.filesystem.rootdirectory or --data'
  if (code === 'ENOTDIR' || code === 'EEXIST') {
    return new DataFolderUnusable(`${root} is not a folder: move it away, ${choose}`, { cause: error })
  }
  if (code === 'EROFS') {
    return new DataFolderUnusable(
      `the data folder ${root} is on a read-only file system: mount it writable, ${choose}`,
      {
        cause: error
      }
    )
  }
  if (code !== 'EACCES' && code !== 'EPERM') return error instanceof Error ? error : new Error(String(error))
  const user = process.getuid?.() ?? 'unknown'
  const seen = await nearest(root)
  const owner = seen === undefined ? '' : ` (${seen.path} belongs to user ${seen.uid}, mode ${seen.mode})`
  return new DataFolderUnusable(
    `user ${user} may not write the data folder ${root}${owner}: give it to that user with chown, ${choose}`,
    { cause: error }
  )
}

interface Seen {
  path: string
  isFolder: boolean
  uid: number
  mode: string
}

/** The folder, or what stands nearest above it. */
async function nearest(path: string): Promise<Seen | undefined> {
  for (let current = path; ; current = dirname(current)) {
    const found = await stat(current).catch(() => undefined)
    if (found !== undefined)
      return { path: current, isFolder: found.isDirectory(), uid: found.uid, mode: (found.mode & 0o777).toString(8) }
    if (current === dirname(current)) return undefined
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
