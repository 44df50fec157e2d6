import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolder, systemError, tryFolder } from '../file-access.ts'

export interface RotatingFileInit {
  path: string
  /** Bytes after which a file is put aside. */
  size: number
  /** Files put aside that are kept, `path.1` the newest. */
  files: number
}

/**
 * Whole lines into a file that is put aside when it is large. One write at a time. The package `rotating-file-stream` does
 * the same but for one thing: it takes a write for done of which the disk had room only for a part.
 */
export class RotatingFile {
  readonly #init: RotatingFileInit
  #open: { file: FileHandle; size: number } | undefined

  private constructor(init: RotatingFileInit) {
    this.#init = init
  }

  /** @throws what the file system says */
  static async open(init: RotatingFileInit): Promise<RotatingFile> {
    const rotating = new RotatingFile(init)
    await rotating.follow()
    return rotating
  }

  /** Whether {@link open} could open the file; changes nothing. @throws what the file system says */
  static async check(path: string): Promise<void> {
    const there = await stat(path).catch(missingOrBelowFile)
    if (there === undefined) return tryFolder(dirname(path))
    refuseStream(path, there)
    const file = await open(path, constants.O_RDWR | constants.O_APPEND)
    await file.close()
  }

  /**
   * Sees what another program did to the file, as logrotate does: one that was renamed or removed is made anew, with its
   * folder, and one that was emptied counts from its beginning. @throws what the file system says
   */
  async follow(): Promise<void> {
    const { path } = this.#init
    const current = this.#open
    if (current !== undefined) {
      const [there, open] = await Promise.all([stat(path).catch(missing), current.file.stat()])
      current.size = open.size
      if (there?.ino === open.ino && there.dev === open.dev) return
      await this.close()
    }
    const there = await stat(path).catch(missingOrBelowFile)
    if (there === undefined) await makeFolder(dirname(path))
    else refuseStream(path, there)
    this.#open = await openAtEnd(path)
  }

  /** All of the lines or, as far as the file system lets that be undone, none. @throws what it says */
  async write(lines: string): Promise<void> {
    const bytes = Buffer.from(lines)
    await this.follow()
    if (this.#open !== undefined && this.#open.size >= this.#init.size) {
      await this.#rotate()
      await this.follow()
    }
    const current = this.#open
    if (current === undefined) throw new Error('the audit log was closed')
    try {
      await writeAll(current.file, bytes)
      current.size += bytes.length
    } catch (error) {
      await current.file.truncate(current.size).catch(() => {})
      await this.close()
      throw error
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    const current = this.#open
    this.#open = undefined
    await current?.file.close()
  }

  /** From the oldest on: whatever it is stopped at, nothing but the oldest is overwritten. */
  async #rotate(): Promise<void> {
    const { path, files } = this.#init
    await this.close()
    for (let count = files; count > 0; count--) {
      const from = count === 1 ? path : `${path}.${count - 1}`
      await rename(from, `${path}.${count}`).catch(missing)
    }
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0; ) {
    const { bytesWritten } = await file.write(rest)
    rest = rest.subarray(bytesWritten)
  }
}

/** A last line without end was torn by the crash of the process that wrote it: the next one begins behind it. */
async function openAtEnd(path: string): Promise<{ file: FileHandle; size: number }> {
  const file = await open(path, 'a+', 0o600)
  try {
    const { size } = await file.stat()
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1))
    if (bytesRead === 0 || buffer[0] === 0x0a) return { file, size }
    await writeAll(file, Buffer.from('\n'))
    return { file, size: size + 1 }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** A path below a file is absent too: making its folder then fails with the reason. */
function missingOrBelowFile(error: unknown): undefined {
  return error instanceof Error && 'code' in error && error.code === 'ENOTDIR' ? undefined : missing(error)
}

/** A pipe or a device, such as `/dev/stdout` often is, cannot be rotated. */
function refuseStream(path: string, found: Stats): void {
  if (found.isFile() || found.isDirectory()) return
  throw systemError({ code: 'ESPIPE', path, syscall: 'open' }, `${path} is no regular file`)
}

/** What is not there is no failure; anything else is. */
function missing(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
