/**
 * The data folder of a node: made if that is wanted, and held by one process at a time.
 *
 * @module
 */
import { access, constants, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { chooseAnother, DataFolderUnusable, explainAccess, refuseRoot } from './data-folder-access.ts'
import { askFolder, type FolderIdentity, identifyFolder, isSameFolder } from './data-folder-identity.ts'
import {
  type Acquired,
  acquireLock,
  codeOf,
  DataFolderLocked,
  fitsSocketAddress,
  type Holder,
  highestRecord,
  judge,
  type LockRecord,
  removeOlder,
  replaceRecord,
  socketOf
} from './data-folder-lock.ts'
import { makeFolder, tryFolder } from './file-access.ts'
import { identifySelf } from './process-identity.ts'

export { DataFolderOfAnother, DataFolderUnusable, explainAccess, type User } from './data-folder-access.ts'
export { DataFolderLocked, type FolderIdentity, type Holder }

/** There is no data folder of Pinnace; nothing was made. */
export class NoDataFolder extends Error {
  override readonly name = 'NoDataFolder'
}

export interface DataFolder {
  /** Absolute. */
  readonly path: string
  readonly identity: FolderIdentity
  /** What else is in a folder that had no data of Pinnace yet, by name; empty later. */
  readonly beside: readonly string[]
  /**
   * A path to listen on that fits a socket address, `control.sock` in the folder if it can be, else in a private folder
   * under `XDG_RUNTIME_DIR` or the system's temporary folder. Recorded, so that commands given the data folder find it.
   */
  publishControlSocket(): Promise<string>
  /** To be called once LevelDB's lock is held: nobody else can have the folder any more, whatever its records say. */
  confirm(): Promise<void>
  /** Whoever has LevelDB's lock, as far as that is known. */
  otherHolder(cause: unknown): DataFolderLocked | undefined
  /** Lets the folder go. Idempotent. */
  close(): Promise<void>
}

export interface OpenDataFolderInit {
  /** What the lock says of this process, e.g. `serve`. */
  command: string
  /** Whether the folder is made (mode 0700) where there is none. Default false. */
  create?: boolean
}

/**
 * Takes the folder for this process.
 *
 * @throws {DataFolderLocked} when another process has it
 * @throws {NoDataFolder} when there is none and none is to be made
 * @throws {DataFolderUnusable} when it is not a folder, not ours to write, or full of other things
 */
export async function openDataFolder(path: string, init: OpenDataFolderInit): Promise<DataFolder> {
  const root = resolve(path)
  const locks = join(root, 'lock')
  try {
    const found = await look(root)
    if (found.exists) await refuseHeld(root)
    if (!found.isData && init.create !== true) throw missing(root, found)
    const beside = found.isData ? [] : besideOf(root, found.entries)
    // A folder that nobody has used yet takes the user of its first node: in a container that is often root.
    if (found.isData || (found.exists && init.command !== 'serve')) await refuseRoot(root)
    await makeFolder(locks)
    const self = await identifySelf()
    const identity = await identifyFolder(root)
    const startedAt = new Date().toISOString()
    const record: LockRecord = { ...self, command: init.command, startedAt, folder: { ...identity, path: root } }
    return new HeldDataFolder(root, beside, record, await acquireLock(root, locks, record))
  } catch (error) {
    throw await explain(root, error)
  }
}

/**
 * Whether a node could start on the folder; changes nothing.
 *
 * @throws {DataFolderUnusable}
 */
export async function checkDataFolder(path: string): Promise<{ path: string; exists: boolean }> {
  const root = resolve(path)
  try {
    const found = await look(root)
    if (!found.isData) besideOf(root, found.entries)
    if (found.exists) await access(root, constants.R_OK | constants.W_OK | constants.X_OK)
    else await tryFolder(root)
    return { path: root, exists: found.exists }
  } catch (error) {
    throw await explain(root, error)
  }
}

/**
 * Takes nothing, needs only read access.
 *
 * @throws {NoDataFolder} unless it is one, or is just being made
 * @throws {DataFolderUnusable} when it cannot be read
 */
export async function requireDataFolder(path: string): Promise<void> {
  const root = resolve(path)
  try {
    const found = await look(root)
    if (!found.isData && (await heldBy(root)) === undefined) throw missing(root, found)
  } catch (error) {
    throw await explain(root, error)
  }
}

/**
 * The process that has the folder, if there is one, and where it answers from here. Takes nothing, needs only read access.
 *
 * @throws {DataFolderUnusable} when it cannot be read
 */
export async function findHolder(path: string): Promise<Holder | undefined> {
  const root = resolve(path)
  return heldBy(root).catch(async (error: unknown) => {
    throw await explain(root, error)
  })
}

async function heldBy(root: string): Promise<Holder | undefined> {
  const highest = await highestRecord(join(root, 'lock'))
  if (highest === undefined) return undefined
  const { record } = highest
  const verdict = await judge(root, record)
  if (!verdict.held) return undefined
  const { controlSocket: _theirs, ...holder } = record
  const socket = socketOf(root, record)
  const isAsked = verdict.because === 'lives' || verdict.because === 'answers'
  if (socket === undefined || !isAsked || !(await leadsHere(root, socket))) return holder
  return { ...holder, controlSocket: socket }
}

/** Whether the node behind a socket holds this folder, as far as it says. */
async function leadsHere(root: string, socket: string): Promise<boolean> {
  const told = await askFolder(socket)
  return typeof told === 'string' || isSameFolder(root, await identifyFolder(root), told)
}

interface Found {
  exists: boolean
  /** It has the file `layout`, which is what makes a folder one of Pinnace. */
  isData: boolean
  /** Names in a folder that is none yet. */
  entries: readonly string[]
}

async function look(root: string): Promise<Found> {
  if (await isMissing(root)) return { exists: false, isData: false, entries: [] }
  if (!(await isMissing(join(root, 'layout')))) return { exists: true, isData: true, entries: [] }
  return { exists: true, isData: false, entries: await readdir(root) }
}

/** A proven absence. */
async function isMissing(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return true
      throw error
    }
  )
}

/** Before anything else is judged: a node in its first start has the folder before it has made all of it. */
async function refuseHeld(root: string): Promise<void> {
  const highest = await highestRecord(join(root, 'lock'))
  if (highest === undefined) return
  const verdict = await judge(root, highest.record)
  if (verdict.held) throw new DataFolderLocked(root, highest.record, verdict.because)
}

function missing(root: string, { exists }: Found): NoDataFolder {
  const advice = 'name the folder of your node with --data, or its file with --config; "pinnace serve" makes a new one'
  return new NoDataFolder(`no data folder of Pinnace here: ${root}${exists ? ' has no file "layout"' : ''}; ${advice}`)
}

/** What Pinnace makes itself, and may have made before it was killed in its first start. */
const own = /^(?:blobs|control\.sock|ipfs|layout\.new|lock|metadata(?:\.new)?|quarantine|uploads)$/
/** What volumes and distribution's registry bring along: nothing to tell. */
const usual = /^(?:lost\+found|docker|scheduler-state\.json)$/
/** What people keep with a node: its configuration, passwords, certificates, logs; what tools leave in a home of a service. */
const kept = /^(?:\..*|acme|auth|certs?|tls|.*htpasswd|.*\.(?:ya?ml|json|jsonl|log|pem|crt|cer|key|txt))$/

/** @throws {DataFolderUnusable} for a folder that is somebody's for something else */
function besideOf(root: string, entries: readonly string[]): string[] {
  const other = entries.filter(name => !own.test(name) && !usual.test(name))
  const strange = other.filter(name => !kept.test(name)).sort()
  if (strange.length === 0) return other.sort()
  const named = strange.slice(0, 3).join(', ')
  const more = strange.length > 3 ? ` and ${strange.length - 3} more` : ''
  const advice = `name an empty folder, or a new one such as ${join(root, 'pinnace')}`
  throw new DataFolderUnusable(`${root} has no data of Pinnace but other things (${named}${more}): ${advice}`)
}

class HeldDataFolder implements DataFolder {
  readonly path: string
  readonly identity: FolderIdentity
  readonly beside: readonly string[]
  readonly #number: number
  readonly #file: string
  #doubtful: Holder | undefined
  #record: LockRecord
  #closed = false

  constructor(
    path: string,
    beside: readonly string[],
    record: LockRecord & { folder?: FolderIdentity },
    lock: Acquired
  ) {
    this.path = path
    this.beside = beside
    this.#record = record
    this.#number = lock.number
    this.#doubtful = lock.doubtful
    this.#file = join(path, 'lock', String(lock.number))
    const { device = '', inode = '' } = record.folder ?? {}
    this.identity = { device, inode }
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

  async confirm(): Promise<void> {
    this.#doubtful = undefined
    await removeOlder(dirname(this.#file), this.#number)
  }

  otherHolder(cause: unknown): DataFolderLocked | undefined {
    const holder = this.#doubtful
    return holder && new DataFolderLocked(this.path, holder, 'answers', { cause })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const socket = this.#record.controlSocket
    if (socket !== undefined && dirname(socket) !== this.path) {
      await rm(dirname(socket), { recursive: true, force: true })
    }
    // The folder was moved away, and what has its name now is not ours.
    const now = await identifyFolder(this.path).catch(() => undefined)
    if (now?.inode !== this.identity.inode) return
    if (socket !== undefined && dirname(socket) === this.path) await rm(socket, { force: true })
    // Without a proof that the holder before is gone, its record holds again.
    if (this.#doubtful !== undefined) await rm(this.#file, { force: true })
    else await replaceRecord(this.#file, { ...this.#record, released: true })
  }
}

function runtimeFolder(): string {
  const runtime = process.env.XDG_RUNTIME_DIR
  // mkdtemp adds six characters and the socket's name 13 more; a temporary folder deeper than that helps nobody.
  const candidates = [runtime || tmpdir(), tmpdir(), '/tmp']
  return candidates.find(folder => fitsSocketAddress(join(folder, 'pinnace-XXXXXX', 'control.sock'))) ?? '/tmp'
}

async function explain(root: string, error: unknown): Promise<unknown> {
  const code = codeOf(error)
  if (code === 'ENOTDIR' || code === 'EEXIST') {
    return new DataFolderUnusable(`${root} is not a folder: move it away, or ${chooseAnother}`, { cause: error })
  }
  if (code === 'EOPNOTSUPP') {
    const message = `the data folder ${root} cannot be made: the system keeps no files there; ${chooseAnother}`
    return new DataFolderUnusable(message, { cause: error })
  }
  if (code === 'EROFS') {
    const message = `the data folder ${root} is on a read-only file system: mount it writable, or ${chooseAnother}`
    return new DataFolderUnusable(message, { cause: error })
  }
  return explainAccess(root, error)
}
