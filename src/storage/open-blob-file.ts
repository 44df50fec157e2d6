import type { BigIntStats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { RegistryError } from '../errors.ts'
import type { AbortOptions, BlobFile, ByteRange } from '../registry/ports.ts'
import type { ReadBuffers } from './read-buffers.ts'

/** A blob's flat file, open for reading. */
export class OpenBlobFile implements BlobFile {
  readonly size: number
  readonly identity: string
  readonly #handle: FileHandle
  readonly #buffers: ReadBuffers

  constructor(handle: FileHandle, stats: BigIntStats, buffers: ReadBuffers) {
    this.#handle = handle
    this.#buffers = buffers
    this.size = Number(stats.size)
    this.identity = identityOf(stats)
  }

  /**
   * @throws {RegistryError} CONTENT_CORRUPT when the file has become shorter than it was when opened
   * @throws {RangeError} for an offset or length that is no natural number
   */
  async pread(offset: number, length: number, options: AbortOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted()
    if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`offset ${offset} is not a natural number`)
    if (!Number.isSafeInteger(length) || length < 0) throw new RangeError(`length ${length} is not a natural number`)
    const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(length, this.size - offset)))
    await this.#fill(buffer, offset)
    options.signal?.throwIfAborted()
    return buffer
  }

  /**
   * Two buffers in turn: one is read into while the consumer has the other. Both are used again, here or by another
   * stream, as soon as the consumer asks for more or stops, so a chunk has to be sent or copied by then.
   *
   * @throws {RegistryError} CONTENT_CORRUPT when the file has become shorter than it was when opened
   */
  async *stream(range: ByteRange, options: AbortOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    options.signal?.throwIfAborted()
    const end = Math.min(range.end, this.size)
    let position = Math.max(0, range.start)
    if (position >= end) return
    let ahead: ReadAhead | undefined = this.#readAhead(this.#buffers.lend(end - position), position, end)
    let spare: Buffer | undefined
    try {
      while (ahead !== undefined) {
        const current: ReadAhead = ahead
        await abortable(current.done, options.signal)
        position += current.chunk.length
        if (position >= end) ahead = undefined
        else ahead = this.#readAhead(spare ?? this.#buffers.lend(end - position), position, end)
        spare = current.buffer
        yield current.chunk
        options.signal?.throwIfAborted()
      }
    } finally {
      if (spare !== undefined) this.#buffers.giveBack(spare)
      if (ahead !== undefined) this.#giveBackAfter(ahead)
    }
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  #readAhead(buffer: Buffer, position: number, end: number): ReadAhead {
    const chunk = buffer.subarray(0, Math.min(buffer.length, end - position))
    const done = this.#fill(chunk, position)
    // The consumer may take its time; the failure is told when it asks.
    done.catch(() => {})
    return { buffer, chunk, done }
  }

  /** The kernel writes into the buffer until the read has ended. */
  #giveBackAfter({ buffer, done }: ReadAhead): void {
    const giveBack = (): void => this.#buffers.giveBack(buffer)
    done.then(giveBack, giveBack)
  }

  async #fill(buffer: Buffer, position: number): Promise<void> {
    for (let done = 0; done < buffer.length; ) {
      const { bytesRead } = await this.#handle.read(buffer, done, buffer.length - done, position + done)
      if (bytesRead === 0)
        throw new RegistryError('CONTENT_CORRUPT', {
          message: 'a stored blob has become shorter while it was read',
          detail: { expected: this.size, found: position + done }
        })
      done += bytesRead
    }
  }
}

/** Changes with everything that may change a file's bytes, and with a rename. */
export function identityOf(stats: BigIntStats): string {
  return [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(':')
}

interface ReadAhead {
  buffer: Buffer
  chunk: Buffer
  done: Promise<void>
}

/** Settles as `work` does, or with the signal's reason as soon as it is aborted. */
function abortable(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work
  if (signal.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
