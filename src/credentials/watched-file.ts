import { type FSWatcher, watch } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Log } from '../registry/ports.ts'
import { CredentialFileError, InvalidText } from './credential-file.ts'

export interface WatchedFileComponents {
  log: Log
}

export interface WatchedFileInit<T> {
  path: string
  /** @throws {InvalidText} */
  parse: (text: string) => T | Promise<T>
  /** Called with each new content but the first. */
  changed?: (content: T) => void
  /** What is in it helps an attacker: a warning when everybody on the machine may read it. */
  secret?: boolean
  /** Bytes. Default 16 MiB. */
  limit?: number
  /** ms between looks at a file of which the system reports no events. Default 2 s. */
  pollMs?: number
  /** ms for which a changed file must stay as it is before it is read: some editors write in parts. Default 50. */
  settleMs?: number
}

/**
 * A file that is read again whenever it changes, also when another one is renamed over it or over a folder on its path, as
 * editors and Kubernetes do. A version that cannot be used leaves the last good one in force.
 */
export class WatchedFile<T> {
  readonly #log: Log
  readonly #init: WatchedFileInit<T>
  #content: T
  /** Which version was looked at last, good or not. */
  #version: string
  /** Seen once, not yet settled. */
  #candidate: string | undefined
  #missing = false
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #due = 0
  #looking: Promise<void> = Promise.resolve()
  #closed = false

  /** Use {@link watchFile}. */
  constructor(components: WatchedFileComponents, init: WatchedFileInit<T>, first: Version<T>) {
    this.#log = components.log
    this.#init = init
    this.#content = first.content
    this.#version = first.version
  }

  get content(): T {
    return this.#content
  }

  start(): void {
    try {
      // The folder: a watch of the file itself would stay with the old one when another is renamed over it.
      this.#watcher = watch(dirname(this.#init.path), { persistent: false }, () => this.#schedule(this.#settleMs))
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch (error) {
      this.#log.debug({ file: this.#init.path, error }, 'the system reports no changes of this file: it is polled')
    }
    this.#schedule(this.#pollMs)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#watcher?.close()
    clearTimeout(this.#timer)
    await this.#looking
  }

  get #pollMs(): number {
    return this.#init.pollMs ?? 2000
  }

  get #settleMs(): number {
    return this.#init.settleMs ?? 50
  }

  /** In `ms`, or earlier if that was planned. */
  #schedule(ms: number): void {
    if (this.#closed) return
    const due = performance.now() + ms
    if (this.#timer !== undefined && this.#due <= due) return
    clearTimeout(this.#timer)
    this.#due = due
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#looking = this.#looking.then(() => this.#look())
    }, ms)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    if (this.#closed) return
    const { path } = this.#init
    const version = await versionAt(path).catch(error => this.#complain(error))
    if (version === undefined) return this.#schedule(this.#pollMs)
    this.#missing = false
    if (version === this.#version) {
      this.#candidate = undefined
      return this.#schedule(this.#pollMs)
    }
    if (version !== this.#candidate) {
      this.#candidate = version
      return this.#schedule(this.#settleMs)
    }
    await this.#load(version)
    this.#schedule(this.#pollMs)
  }

  async #load(version: string): Promise<void> {
    this.#candidate = undefined
    this.#version = version
    const { path, changed } = this.#init
    try {
      const loaded = await load(this.#init)
      this.#version = loaded.version
      this.#content = loaded.content
      changed?.(loaded.content)
      this.#log.info({ file: path }, 'read again, since it changed')
      warnOfReaders(this.#log, this.#init, loaded.mode)
    } catch (error) {
      this.#log.error({ file: path, reason: reasonOf(error) }, 'changed, but cannot be used: what it said before holds')
    }
  }

  #complain(error: unknown): undefined {
    if (this.#missing) return
    this.#missing = true
    this.#log.error({ file: this.#init.path, reason: codeOf(error) }, 'cannot be found: what it said before holds')
  }
}

interface Version<T> {
  content: T
  version: string
  mode: number
}

/**
 * Reads the file and watches it.
 *
 * @throws {CredentialFileError}
 */
export async function watchFile<T>(
  components: WatchedFileComponents,
  init: WatchedFileInit<T>
): Promise<WatchedFile<T>> {
  const first = await load(init)
  warnOfReaders(components.log, init, first.mode)
  const file = new WatchedFile(components, init, first)
  file.start()
  return file
}

async function load<T>({ path, parse, limit = 16 * 1024 * 1024 }: WatchedFileInit<T>): Promise<Version<T>> {
  try {
    await using file = await open(path, 'r')
    const about = await file.stat({ bigint: true })
    if (!about.isFile()) throw new InvalidText('it is no file')
    if (about.size > limit) throw new InvalidText(`it has ${about.size} bytes, and more than ${limit} are not read`)
    const text = decode(await file.readFile())
    return { content: await parse(text), version: versionOf(about), mode: Number(about.mode) }
  } catch (error) {
    if (error instanceof InvalidText)
      throw new CredentialFileError(path, error.message, error.line === undefined ? {} : { line: error.line })
    throw new CredentialFileError(path, `it cannot be read (${codeOf(error)})`, { cause: error })
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new InvalidText('it is not UTF-8 text')
  }
}

async function versionAt(path: string): Promise<string> {
  return versionOf(await stat(path, { bigint: true }))
}

function versionOf(about: { ino: bigint; size: bigint; mtimeNs: bigint; ctimeNs: bigint }): string {
  return [about.ino, about.size, about.mtimeNs, about.ctimeNs].join(' ')
}

function warnOfReaders<T>(log: Log, { path, secret }: WatchedFileInit<T>, mode: number): void {
  if ((mode & 0o002) !== 0) log.warn({ file: path }, 'every user of this machine may write this file: chmod o-w it')
  else if (secret === true && (mode & 0o004) !== 0)
    log.warn({ file: path }, 'every user of this machine may read this file and try passwords on it: chmod o-r it')
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
}

function reasonOf(error: unknown): string {
  return error instanceof CredentialFileError ? error.message : codeOf(error)
}
