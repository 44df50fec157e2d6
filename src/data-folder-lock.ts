/**
 * Who holds a data folder: a folder of numbered records, `lock/1`, `lock/2`, …, each naming a process. The highest
 * number holds. A record appears whole (`link` of a finished file, which fails when the number is taken), a taker looks
 * again after it has linked and yields to a higher number, and the highest is never removed: so no two processes ever
 * both hold, even when several find the same dead holder at once. A killed process leaves its record; whether it lives
 * is asked of the system. Where the system cannot say (the holder is in another container), LevelDB's own kernel lock
 * has the last word.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { dirname, join } from 'node:path'
import { livenessOf, type ProcessIdentity } from './process-identity.ts'

/** A process that has the data folder open. */
export interface Holder extends ProcessIdentity {
  /** What it runs, e.g. `serve`. */
  command: string
  /** ISO 8601, UTC. */
  startedAt: string
  /** Where it answers commands, once it does. */
  controlSocket?: string
}

/** Another live process has the folder. */
export class DataFolderLocked extends Error {
  override readonly name = 'DataFolderLocked'
  readonly holder: Holder

  constructor(path: string, holder: Holder) {
    super(
      `the data folder ${path} is in use by process ${holder.pid} (pinnace ${holder.command}, since ${holder.startedAt})`
    )
    this.holder = holder
  }
}

export interface LockRecord extends Holder {
  released?: boolean
}

/** @returns the number under which the record now holds */
export async function acquireLock(root: string, locks: string, record: LockRecord): Promise<number> {
  for (;;) {
    const highest = await highestRecord(locks)
    if (highest !== undefined && (await holds(highest.record))) throw new DataFolderLocked(root, highest.record)
    const number = (highest?.number ?? 0) + 1
    if (!(await place(join(locks, String(number)), record))) continue
    const numbers = await recordNumbers(locks)
    if (numbers.every(other => other <= number)) {
      for (const older of numbers) if (older < number) await rm(join(locks, String(older)), { force: true })
      return number
    }
    await rm(join(locks, String(number)), { force: true })
  }
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
    return typeof value === 'object' && value !== null ? { ...nobody, released: false, ...value } : nobody
  } catch {
    return nobody
  }
}

export async function holds(record: LockRecord): Promise<boolean> {
  if (record.released === true) return false
  const liveness = await livenessOf(record)
  if (liveness !== 'foreign') return liveness === 'alive'
  return record.controlSocket !== undefined && (await answers(record.controlSocket))
}

function answers(socket: string): Promise<boolean> {
  return new Promise(settle => {
    const connection = createConnection(socket)
    const end = (alive: boolean) => {
      connection.destroy()
      settle(alive)
    }
    connection.setTimeout(2_000, () => end(false))
    connection.once('connect', () => end(true))
    connection.once('error', () => end(false))
  })
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
