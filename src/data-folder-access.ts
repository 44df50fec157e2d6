/**
 * Whose a data folder is, and what keeps a user from it: the very file or folder, and what to type.
 *
 * @module
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { Stats } from 'node:fs'
import { access, constants, lstat, open, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join, parse } from 'node:path'
import { promisify } from 'node:util'
import { codeOf } from './data-folder-lock.ts'

/** The folder cannot be used as it is; the message says what to change. */
export class DataFolderUnusable extends Error {
  override readonly name: string = 'DataFolderUnusable'
}

/** The folder is another user's, and the same command typed as that user works. */
export class DataFolderOfAnother extends DataFolderUnusable {
  override readonly name = 'DataFolderOfAnother'
  readonly owner: User

  constructor(message: string, owner: User, options?: ErrorOptions) {
    super(message, options)
    this.owner = owner
  }
}

export interface User {
  uid: number
  gid: number
  /** `undefined` where the system has no name for it, as in many containers. */
  name?: string
}

/** Whose the folder is: the user who wrote `layout`, where it is there, else the folder's owner. */
async function ownerOf(root: string): Promise<Ids> {
  return lstat(join(root, 'layout')).catch(() => stat(root))
}

/**
 * Root may write everywhere, and what it wrote the node's own user can no longer read. Others are kept out by the system.
 *
 * @throws {DataFolderOfAnother} as root, on a folder of somebody else
 */
export async function refuseRoot(root: string): Promise<void> {
  if (process.geteuid?.() !== 0) return
  const ids = await ownerOf(root)
  if (ids.uid === 0 || (await ownerOfNewFile(root)) === ids.uid) return
  const owner = await userOf(ids)
  const why = 'the files that root makes there would keep its node from starting'
  throw new DataFolderOfAnother(
    `the data folder ${root} belongs to ${showUser(owner)}, and this is root: ${why}`,
    owner
  )
}

/** Some file systems (NFS with squashed users, SMB, FAT) give every file to one user, whoever makes it: there root does no harm. */
async function ownerOfNewFile(root: string): Promise<number | undefined> {
  const file = join(root, `.${randomUUID()}`)
  try {
    const made = await open(file, 'wx', 0o600)
    return await made
      .stat()
      .then(({ uid }) => uid)
      .finally(() => made.close())
  } catch {
    return undefined
  } finally {
    await rm(file, { force: true })
  }
}

/** Asked of the system's own tool, which knows directories of users beside `/etc/passwd` too. */
async function userOf({ uid, gid }: Ids): Promise<User> {
  const id = promisify(execFile)('id', ['-nu', String(uid)], { timeout: 5_000 })
  const name = await id.then(({ stdout }) => stdout.trim()).catch(() => '')
  return name === '' ? { uid, gid } : { uid, gid, name }
}

type Ids = Pick<User, 'uid' | 'gid'>

function self(): Ids {
  return { uid: process.geteuid?.() ?? -1, gid: process.getegid?.() ?? -1 }
}

function showUser({ uid, name }: User): string {
  return `user ${name ?? uid}`
}

/**
 * What the system refuses of a data folder, or on the way to it, as a sentence with the very file or folder, and what to do;
 * any other error as it is.
 */
export async function explainAccess(root: string, error: unknown): Promise<unknown> {
  const named = refusedPath(error)
  if (named === undefined || !(isWithin(root, named) || isWithin(named, root))) return error
  const user = await userOf(self())
  if (named !== root && isWithin(root, (await findBarrier(named)).path, false)) {
    return explainFile(root, user, named, error)
  }
  const barrier = await findBarrier(root)
  const seen = `it belongs to ${showUser(await userOf(barrier))}, mode ${barrier.mode}`
  if (barrier.path === root) return explainRoot(root, user, barrier, seen, error)
  if (barrier.isClosed) {
    const why = `${showUser(user)} cannot reach the data folder ${root}: ${barrier.path} is closed to that user (${seen})`
    const advice = `run this as the user of the node, or let that user through with "chmod o+x ${barrier.path}"`
    return new DataFolderUnusable(`${why}: ${advice}`, { cause: error })
  }
  const why = `${showUser(user)} may not make the data folder ${root} in ${barrier.path} (${seen})`
  const make = `install -d -o ${user.uid} -g ${user.gid} -m 0700 ${root}`
  return new DataFolderUnusable(`${why}: let root make it with "${make}", or ${chooseAnother}`, { cause: error })
}

export const chooseAnother = 'choose another with storage.filesystem.rootdirectory or --data'

async function explainRoot(root: string, user: User, owner: Barrier, seen: string, cause: unknown): Promise<Error> {
  const why = `${showUser(user)} may not use the data folder ${root} (${seen})`
  if (owner.uid === user.uid) return new DataFolderUnusable(`${why}: "chmod u+rwx ${root}" allows it`, { cause })
  const layout = await lstat(join(root, 'layout')).catch(codeOf)
  // A folder that no node has used can be given away; one that may be in use is its node's, whoever asks.
  if (layout !== 'ENOENT') {
    return new DataFolderOfAnother(why, await userOf(layout instanceof Stats ? layout : owner), { cause })
  }
  const give = `chown ${user.uid}:${user.gid} ${root}`
  return new DataFolderUnusable(`${why}: let root give it away with "${give}", or ${chooseAnother}`, { cause })
}

/** Files of somebody else in a folder of one's own, as a command run as root leaves them. */
async function explainFile(root: string, user: User, named: string, cause: unknown): Promise<Error> {
  // Whoever has the folder itself is in the right, also where root was its first user.
  const owner = (await stat(root)).uid === user.uid ? user : await ownerOf(root)
  const may = `${showUser(user)} may not use ${named}`
  if (owner.uid !== user.uid) return new DataFolderOfAnother(may, await userOf(owner), { cause })
  const foreign = await foreignFiles(root, named, user.uid)
  const [first] = foreign
  if (first === undefined) return new DataFolderUnusable(`${may}: "chmod u+rwX ${named}" allows it`, { cause })
  const more = foreign.length === 1 ? '' : `, like ${foreign.length - 1} more there`
  const mend =
    foreign.length === 1
      ? `chown ${user.uid}:${user.gid} ${first.path}`
      : `find ${root} ! -user ${user.uid} -exec chown -h ${user.uid}:${user.gid} {} +`
  const whose = `${showUser(user)} may not use ${first.path}: it belongs to ${showUser(await userOf(first))}${more}`
  const advice = `a command that was run as another user left it. With no node running on the folder, let root type: ${mend}`
  return new DataFolderUnusable(`${whose}; ${advice}`, { cause })
}

/** Entries looked at. */
const mostEntries = 10_000

/** What is not the user's: first the file that was named, if it is one, then others; not blobs, of which there may be millions. */
async function foreignFiles(root: string, named: string, uid: number): Promise<(Ids & { path: string })[]> {
  const at = await lstat(named).catch(() => undefined)
  const found = at === undefined || at.uid === uid ? [] : [{ path: named, uid: at.uid, gid: at.gid }]
  const folders = [root]
  let seen = 0
  for (let folder = folders.shift(); folder !== undefined; folder = folders.shift()) {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
    for (const entry of entries) {
      if (++seen > mostEntries) return found
      const path = join(folder, entry.name)
      const owner = await lstat(path).catch(() => undefined)
      if (owner !== undefined && owner.uid !== uid && entry.name !== 'lost+found') {
        if (path !== named) found.push({ path, uid: owner.uid, gid: owner.gid })
      } else if (entry.isDirectory() && path !== join(root, 'blobs')) folders.push(path)
    }
  }
  return found
}

interface Barrier extends Ids {
  path: string
  mode: string
  /** A folder that may not be entered. */
  isClosed: boolean
}

/** The first folder on the way that may not be entered, else what lies at its end, or nearest to it. */
async function findBarrier(path: string): Promise<Barrier> {
  const { root } = parse(path)
  const way = [path]
  for (let at = path; at !== root; at = dirname(at)) way.unshift(dirname(at))
  let last: Barrier = { path: root, uid: 0, gid: 0, mode: '?', isClosed: false }
  for (const at of way) {
    const seen = await stat(at).catch(() => undefined)
    if (seen === undefined) return last
    const isClosed = seen.isDirectory() && !(await mayEnter(at))
    last = { path: at, uid: seen.uid, gid: seen.gid, mode: (seen.mode & 0o7777).toString(8), isClosed }
    if (isClosed) return last
  }
  return last
}

async function mayEnter(folder: string): Promise<boolean> {
  return access(folder, constants.X_OK).then(
    () => true,
    () => false
  )
}

/** The path that the system refused; `undefined` when it refused none. */
function refusedPath(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = codeOf(at)
    if ((code === 'EACCES' || code === 'EPERM') && 'path' in at && typeof at.path === 'string') return at.path
    const path = pathInWords(at)
    if (path !== undefined) return path
  }
  return undefined
}

/** LevelDB tells it in words, and an error that came from another thread has nothing but its words. */
function pathInWords({ message }: Error): string | undefined {
  const level = /^IO error: (?:lock )?(.*): Permission denied$/.exec(message)
  return level?.[1] ?? /\b(?:EACCES|EPERM): [^,]*, \w+ '([^']+)'/.exec(message)?.[1]
}

function isWithin(folder: string, path: string, orSame = true): boolean {
  return path.startsWith(join(folder, '/')) || (orSame && path === folder)
}
