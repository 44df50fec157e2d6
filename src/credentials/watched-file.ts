import { open } from 'node:fs/promises'
import { errnoOf, mendReading } from '../file-access.ts'
import { type FileWatch, type FileWatchTimes, openFileWatch } from '../file-watch.ts'
import type { Log } from '../registry/ports.ts'
import { CredentialFileError, InvalidText } from './credential-file.ts'

export interface WatchedFileComponents {
  log: Log
}

export interface WatchedFileInit<T> extends FileWatchTimes {
  path: string
  /** @throws {InvalidText} */
  parse: (text: string) => T | Promise<T>
  /** Called with each new content but the first. */
  changed?: (content: T) => void
  /** What is in it helps an attacker: a warning when everybody on the machine may read it. */
  secret?: boolean
  /** The command that makes the file, for the message that there is none. */
  make?: string
  /** Bytes. Default 16 MiB. */
  limit?: number
}

/** A file that is read again whenever it changes. A version that cannot be used leaves the last good one in force. */
export interface WatchedFile<T> {
  readonly content: T
  close(): Promise<void>
}

/**
 * Reads the file and watches it.
 *
 * @throws {CredentialFileError}
 */
export async function watchFile<T>({ log }: WatchedFileComponents, init: WatchedFileInit<T>): Promise<WatchedFile<T>> {
  const { path } = init
  const changed = async () => {
    try {
      latest = await load(init)
      init.changed?.(latest.content)
      log.info({ file: path }, 'read again, since it changed')
      warnOfReaders(log, init, latest.mode)
    } catch (error) {
      log.error({ file: path, reason: reasonOf(error) }, 'changed, but cannot be used: what it said before holds')
    }
  }
  const file: FileWatch = await openFileWatch({ log }, { ...init, paths: [path], changed })
  let latest = await load(init)
  warnOfReaders(log, init, latest.mode)
  file.start()
  return {
    get content() {
      return latest.content
    },
    close: () => file.close()
  }
}

/**
 * Waits for two files that are being opened.
 *
 * @throws what one of them threw, or an `AggregateError` of both; the other one is closed then
 */
export async function bothOpened<A extends Closable | undefined, B extends Closable | undefined>(
  first: Promise<A>,
  second: Promise<B>
): Promise<[A, B]> {
  const settled = await Promise.allSettled([first, second])
  const failures = settled.flatMap(each => (each.status === 'rejected' ? [each.reason] : []))
  if (failures.length === 0) return [await first, await second]
  for (const each of settled) if (each.status === 'fulfilled') await each.value?.close()
  throw failures.length === 1 ? failures[0] : new AggregateError(failures, failures.join('\n'))
}

interface Closable {
  close(): Promise<void>
}

interface Loaded<T> {
  content: T
  mode: number
}

async function load<T>({ path, parse, make, limit = 16 * 1024 * 1024 }: WatchedFileInit<T>): Promise<Loaded<T>> {
  try {
    await using file = await open(path, 'r')
    const about = await file.stat()
    if (!about.isFile()) throw new InvalidText('it is no file')
    if (about.size > limit) throw new InvalidText(`it has ${about.size} bytes, and more than ${limit} are not read`)
    const text = decode(await file.readFile())
    return { content: await parse(text), mode: about.mode }
  } catch (error) {
    if (error instanceof InvalidText)
      throw new CredentialFileError(path, error.message, error.line === undefined ? {} : { line: error.line })
    throw new CredentialFileError(path, `it cannot be read ${mendReading(error, make)}`, { cause: error })
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new InvalidText('it is not UTF-8 text')
  }
}

function warnOfReaders<T>(log: Log, { path, secret }: WatchedFileInit<T>, mode: number): void {
  if ((mode & 0o002) !== 0) log.warn({ file: path }, 'every user of this machine may write this file: chmod o-w it')
  else if (secret === true && (mode & 0o004) !== 0)
    log.warn({ file: path }, 'every user of this machine may read this file and try passwords on it: chmod o-r it')
}

function reasonOf(error: unknown): string {
  return error instanceof CredentialFileError ? error.message : errnoOf(error)
}
