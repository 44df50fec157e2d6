import { type FSWatcher, watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Log } from './registry/ports.ts'

export interface FileWatchTimes {
  /** ms between looks at files of which the system reports no events. Default 2 s. */
  pollMs?: number
  /** ms for which changed files must stay as they are before they are read: some are written in parts. Default 50. */
  settleMs?: number
}

export interface FileWatchInit extends FileWatchTimes {
  /** Files that are of use together only, e.g. a certificate and its key. */
  paths: readonly string[]
  /** Reads them again; never rejects. Not called again before it is done. */
  changed: () => Promise<void>
}

/**
 * Tells when files are others than before: written anew, gone, or another one renamed over them or over a folder or link on
 * their path, as editors, certbot and Kubernetes do. Whether they can be used is the reader's matter.
 */
export class FileWatch {
  readonly #log: Log
  readonly #init: Required<FileWatchInit>
  readonly #watchers: FSWatcher[] = []
  /** Which version was told of last. */
  #version: string
  /** Seen once, not yet settled. */
  #candidate: string | undefined
  #timer: NodeJS.Timeout | undefined
  #due = 0
  #looking: Promise<void> = Promise.resolve()
  #closed = false

  /** Use {@link openFileWatch}. */
  constructor({ log }: { log: Log }, init: Required<FileWatchInit>, version: string) {
    this.#log = log
    this.#init = init
    this.#version = version
  }

  start(): void {
    const { paths, pollMs, settleMs } = this.#init
    // The folders: a watch of a file itself would stay with the old one when another is renamed over it.
    for (const folder of new Set(paths.map(path => dirname(path)))) {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#schedule(settleMs))
        watcher.on('error', () => watcher.close())
        this.#watchers.push(watcher)
      } catch (error) {
        this.#log.debug({ folder, err: error }, 'the system reports no changes of this folder: it is polled')
      }
    }
    this.#schedule(pollMs)
  }

  /** Waits for a reading that is under way. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    for (const watcher of this.#watchers) watcher.close()
    clearTimeout(this.#timer)
    await this.#looking
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
    const { paths, changed, pollMs, settleMs } = this.#init
    const version = await versionOf(paths)
    if (version === this.#version) {
      this.#candidate = undefined
      return this.#schedule(pollMs)
    }
    if (version !== this.#candidate) {
      this.#candidate = version
      return this.#schedule(settleMs)
    }
    this.#candidate = undefined
    // As it was before the reading: what changes meanwhile is read again.
    this.#version = version
    await changed()
    this.#schedule(pollMs)
  }
}

/** Looks at the files as they are now: read them after this, then {@link FileWatch.start}. */
export async function openFileWatch(components: { log: Log }, init: FileWatchInit): Promise<FileWatch> {
  const version = await versionOf(init.paths)
  return new FileWatch(components, { ...init, pollMs: init.pollMs ?? 2000, settleMs: init.settleMs ?? 50 }, version)
}

async function versionOf(paths: readonly string[]): Promise<string> {
  return (await Promise.all(paths.map(versionAt))).join(', ')
}

async function versionAt(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return [ino, size, mtimeNs, ctimeNs].join(' ')
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
  }
}
