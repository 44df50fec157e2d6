/**
 * Who holds a data folder: a folder of numbered records, `lock/1`, `lock/2`, …, each naming a process. The highest
 * number holds. A record appears whole (`link` of a finished file, which fails when the number is taken), a taker looks
 * again after it has linked and yields to a higher number, and the highest is removed only by whoever put it there: so no two
 * processes ever both hold, even when several find the same dead holder at once. A killed process leaves its record; whether
 * it lives is asked of the system. Where the system cannot say (the holder is in another container), the holder is asked over
 * its socket, and when nobody listens there LevelDB's own kernel lock has the last word.
 *
 * A record names its folder, because a copy of the folder has the record too.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import {
  askFolder,
  type FolderIdentity,
  identifyFolder,
  isSameFolder,
  isShared,
  readIdentity
} from './data-folder-identity.ts'
import { isAlive, isOtherMachine, originOf, type ProcessIdentity } from './process-identity.ts'

/** A process that has the data folder open. */
export interface Holder extends ProcessIdentity {
  /** What it runs, e.g. `serve`. */
  command: string
  /** ISO 8601, UTC. */
  startedAt: string
  /** Where it answers commands, once it does. */
  controlSocket?: string
  /** The folder, and the path it has for the holder. Records of the first versions have none. */
  folder?: FolderIdentity & { path: string }
}

/**
 * Why a folder counts as held. `lives`: its process runs; `answers`: it is in another container and answers, or has the
 * database; `silent`: it may live and does not answer; `unproven`: it is of a version that does not say which folder it holds, and this
 * may be a copy; `machine`: it is another machine's.
 */
export type HeldBecause = 'lives' | 'answers' | 'silent' | 'unproven' | 'machine'

/** Another process has the folder, or may have it. */
export class DataFolderLocked extends Error {
  override readonly name = 'DataFolderLocked'
  readonly holder: Holder
  readonly because: HeldBecause

  constructor(path: string, holder: Holder, because: HeldBecause, options?: ErrorOptions) {
    const { pid, command, startedAt, host } = holder
    const place: Record<HeldBecause, string> = {
      lives: '',
      answers: ' of another container',
      silent: ' of another container',
      unproven: ' of an older version',
      machine: ` of the machine ${host ?? 'of an unknown name'}`
    }
    const who = `process ${pid}${place[because]} (pinnace ${command}, since ${startedAt})`
    super(`the data folder ${path} is in use by ${who}${advice[because].replace('LOCK', join(path, 'lock'))}`, options)
    this.holder = holder
    this.because = because
  }
}

const stopIt = ': stop it first, or name another folder with --data'

const advice: Record<HeldBecause, string> = {
  lives: stopIt,
  answers: stopIt,
  silent: ', which does not answer: stop it first; when it is gone for good, remove LOCK',
  unproven: ', which does not say which folder it holds: stop it first; when this is a copy of its folder, remove LOCK',
  machine: ', which cannot be asked from here: stop it there; when that machine is gone for good, remove LOCK'
}

export interface LockRecord extends Holder {
  released?: boolean
}

/** `certain`: LevelDB's lock need not be asked. */
export type Verdict = { held: false; certain: boolean } | { held: true; because: HeldBecause }

const free: Verdict = { held: false, certain: true }

export interface Acquired {
  /** The number under which the record now holds. */
  number: number
  /** Whose record was passed over without a proof that nobody is there: the older records are still in their place. */
  doubtful?: Holder
}

/** @throws {DataFolderLocked} */
export async function acquireLock(root: string, locks: string, record: LockRecord): Promise<Acquired> {
  for (;;) {
    const highest = await highestRecord(locks)
    const verdict = highest === undefined ? free : await judge(root, highest.record)
    if (highest !== undefined && verdict.held) throw new DataFolderLocked(root, highest.record, verdict.because)
    const number = (highest?.number ?? 0) + 1
    if (!(await place(join(locks, String(number)), record))) continue
    const numbers = await recordNumbers(locks)
    if (numbers.every(other => other <= number)) {
      if (highest !== undefined && !verdict.held && !verdict.certain) return { number, doubtful: highest.record }
      await removeOlder(locks, number)
      return { number }
    }
    await rm(join(locks, String(number)), { force: true })
  }
}

export async function removeOlder(locks: string, number: number): Promise<void> {
  for (const older of await recordNumbers(locks)) {
    if (older < number) await rm(join(locks, String(older)), { force: true })
  }
}

/** Whether the process of a record holds this folder. */
export async function judge(root: string, record: LockRecord): Promise<Verdict> {
  if (record.released === true) return free
  switch (await originOf(record)) {
    case 'boot':
      return isOtherMachine(record) && (await isShared(root)) ? { held: true, because: 'machine' } : free
    case 'here':
      if (record.folder !== undefined && !(await isSameFolder(root, await identifyFolder(root), record.folder))) {
        return free
      }
      if (!(await isAlive(record))) return free
      return { held: true, because: (await isProven(root, record)) ? 'lives' : 'unproven' }
    case 'container':
      return judgeByAsking(root, record)
  }
}

/** Whether a living process is known to be of this very folder. */
async function isProven(root: string, record: LockRecord): Promise<boolean> {
  // Before it has a socket there is nothing to ask, and what takes a folder soon has one, or is done.
  if (record.folder !== undefined || record.controlSocket === undefined) return true
  const socket = socketOf(root, record) ?? ''
  // The copy of a socket is a file that nobody listens at.
  return dirname(socket) === root && (await askFolder(socket)) !== 'gone'
}

/** A process that the system here does not know. */
async function judgeByAsking(root: string, record: LockRecord): Promise<Verdict> {
  const socket = socketOf(root, record)
  const told = socket === undefined ? 'gone' : await askFolder(socket)
  if (told === 'gone') return { held: false, certain: false }
  if (told === 'silent') return { held: true, because: 'silent' }
  if (told === 'untold') return { held: true, because: socket === join(root, 'control.sock') ? 'answers' : 'unproven' }
  return (await isSameFolder(root, await identifyFolder(root), told)) ? { held: true, because: 'answers' } : free
}

/**
 * Where the holder of this folder listens. Where its socket lies in its folder it is looked for in this one: the path in the
 * record is the holder's, and in a copy, or in another container, leads elsewhere.
 */
export function socketOf(root: string, { controlSocket, folder }: LockRecord): string | undefined {
  if (controlSocket === undefined) return undefined
  const at = dirname(controlSocket)
  const isInside = folder === undefined ? !/^pinnace-\w{6}$/.test(basename(at)) : at === folder.path
  const own = join(root, 'control.sock')
  return isInside && fitsSocketAddress(own) ? own : controlSocket
}

/** `sun_path` ends with a NUL inside 108 bytes on Linux, 104 on macOS: one limit for both. */
export function fitsSocketAddress(path: string): boolean {
  return Buffer.byteLength(path) <= 103
}

/** Whether the record could be put there, whole, without replacing one. */
async function place(file: string, record: LockRecord): Promise<boolean> {
  const draft = join(dirname(file), `.${randomUUID()}`)
  try {
    await writeFile(draft, JSON.stringify(record), { mode: 0o600 })
    await link(draft, file)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

export async function replaceRecord(file: string, record: LockRecord): Promise<void> {
  const draft = join(dirname(file), `.${randomUUID()}`)
  await writeFile(draft, JSON.stringify(record), { mode: 0o600 })
  await rename(draft, file)
}

async function recordNumbers(locks: string): Promise<number[]> {
  const names = await readdir(locks).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  })
  return names.filter(name => /^[1-9]\d{0,14}$/.test(name)).map(Number)
}

export async function highestRecord(locks: string): Promise<{ number: number; record: LockRecord } | undefined> {
  for (;;) {
    const numbers = await recordNumbers(locks)
    if (numbers.length === 0) return undefined
    const number = Math.max(...numbers)
    const text = await readFile(join(locks, String(number)), 'utf8').catch((error: unknown) => {
      // Overtaken by a higher number between the two calls.
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    })
    if (text !== undefined) return { number, record: parseRecord(text) }
  }
}

function parseRecord(text: string): LockRecord {
  // A record that a power cut emptied names nobody: pid 0 is no process that could hold.
  const nobody: LockRecord = { pid: 0, start: '', command: '', startedAt: '', released: true }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return nobody
    const { folder, ...rest } = { ...nobody, released: false, ...value } as LockRecord
    const identity = readIdentity(folder)
    return identity === undefined ? rest : { ...rest, folder: { path: '', ...folder, ...identity } }
  } catch {
    return nobody
  }
}

export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
