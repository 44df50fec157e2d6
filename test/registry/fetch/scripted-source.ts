import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import type { AbortOptions, BlobSource } from '../../../src/registry/ports.ts'

/** What a source does at which byte of a blob. */
export interface Script {
  /** Waits there until {@link ScriptedSource.release}. */
  holdAt?: number
  /** Breaks the connection there. */
  failAt?: number
  /** Says nothing more from there on. */
  stallAt?: number
  /** This byte is wrong. */
  corruptAt?: number
  /** Ends there as if that were all. */
  endAt?: number
  /** Sends this after the blob. */
  extra?: Uint8Array
  /** Never answers at all. */
  silent?: boolean
  /** Repositories it serves. Default all. */
  repositories?: readonly string[]
  /** Bytes of a chunk; default 100,000. */
  chunk?: number
}

/** A source in this process that follows a script, and notes what was asked of it. */
export class ScriptedSource implements BlobSource {
  readonly name: string
  readonly script: Script
  readonly asked: { digest: Digest; offset: number; repository: string | undefined }[] = []
  readonly blames: Digest[] = []
  /** Streams that nobody has ended. */
  active = 0
  /** Bytes handed out. */
  delivered = 0
  readonly #blobs = new Map<Digest, Uint8Array>()
  #gate = Promise.withResolvers<void>()

  constructor(name: string, blobs: readonly Uint8Array[], script: Script = {}) {
    this.name = name
    this.script = script
    for (const bytes of blobs) {
      this.#blobs.set(digestOf(bytes), bytes)
      this.#blobs.set(digestOf(bytes, 'sha512'), bytes)
    }
  }

  async open(
    digest: Digest,
    options: AbortOptions & { repository?: string; offset?: number } = {}
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const { offset = 0, repository, signal } = options
    this.asked.push({ digest, offset, repository })
    if (this.script.silent === true) return untilAborted(signal)
    const bytes = this.#blobs.get(digest)
    const serves = this.script.repositories?.includes(repository ?? '') ?? true
    return bytes === undefined || !serves ? undefined : this.#stream(bytes, offset, signal)
  }

  blamed(digest: Digest): void {
    this.blames.push(digest)
  }

  release(): void {
    this.#gate.resolve()
  }

  async *#stream(bytes: Uint8Array, offset: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const { holdAt, failAt, stallAt, endAt = bytes.length, corruptAt, extra, chunk = 100_000 } = this.script
    const marks = [holdAt, failAt, stallAt, endAt].filter(mark => mark !== undefined)
    const buffer = Buffer.alloc(chunk)
    this.active++
    try {
      for (let at = offset; ; ) {
        signal?.throwIfAborted()
        if (at === holdAt) await Promise.race([this.#gate.promise, untilAborted(signal)])
        if (failAt !== undefined && at >= failAt) throw new Error(`${this.name} broke at ${at}`)
        if (stallAt !== undefined && at >= stallAt) await untilAborted(signal)
        if (at >= endAt) break
        const next = Math.min(at + chunk, endAt, ...marks.filter(mark => mark > at))
        // The buffer is used again, as a source's may be.
        buffer.set(bytes.subarray(at, next))
        if (corruptAt !== undefined && corruptAt >= at && corruptAt < next)
          buffer[corruptAt - at] = ~(bytes[corruptAt] ?? 0)
        this.delivered += next - at
        yield buffer.subarray(0, next - at)
        at = next
      }
      if (extra !== undefined) yield extra
    } finally {
      this.active--
    }
  }
}

function untilAborted(signal?: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason)
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
