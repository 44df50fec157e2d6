import { availableParallelism } from 'node:os'
import type { DigestAlgorithm } from '../oci/digest.ts'
import type { AbortOptions, StagedContent } from '../registry/ports.ts'
import type { HashPrefix } from './hash-protocol.ts'
import { HashThread } from './hash-thread.ts'
import type { Slot } from './ring.ts'

export interface HashPoolInit {
  /** Worker threads, each started when it is first needed. Default one less than there are cores, at least 1. */
  threads?: number
  /** Default: `hash-worker` beside this file. */
  entry?: URL
}

/** A running hash in a worker thread. Its slots are hashed in the order of the calls. */
export interface HashStream {
  readonly algorithm: DigestAlgorithm
  /** Bytes given to it. */
  readonly size: number
  /** False once its worker died: the staged file is what remains. */
  readonly alive: boolean
  update(slot: Slot, length: number, done: () => void): void
  /** Remembers this point for {@link rewind}, in place of the one before. */
  mark(): void
  /** Forgets what came after the last mark; a new stream is marked at its start. */
  rewind(): void
  /** The content so far, `undefined` when the running hash is lost. */
  content(options?: AbortOptions): Promise<StagedContent | undefined>
  drop(): void
}

/**
 * Hash workers over one ring. A stream stays with the worker it started in (a hash state cannot move); a worker that
 * dies is replaced by the next stream.
 */
export class HashPool {
  readonly #ring: SharedArrayBuffer
  readonly #entry: URL
  readonly #threads: (HashThread | undefined)[]
  #nextStream = 0
  #nextThread = 0
  #closed = false

  constructor(ring: SharedArrayBuffer, init: HashPoolInit = {}) {
    this.#ring = ring
    // The sources run as .ts, the build as .js.
    const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
    this.#entry = init.entry ?? new URL(`./hash-worker${extension}`, import.meta.url)
    this.#threads = new Array(init.threads ?? Math.max(1, availableParallelism() - 1)).fill(undefined)
  }

  /** `prefix`: bytes of the stream that are in a file already. */
  open(algorithm: DigestAlgorithm, prefix?: HashPrefix): HashStream {
    const thread = this.#pick()
    const stream = this.#nextStream++
    thread.send({ type: 'open', stream, algorithm, prefix })
    return new ThreadStream(thread, stream, algorithm, prefix)
  }

  /** Reads and hashes the first `size` bytes of a file, beside the streams. */
  async read(
    path: string,
    size: number,
    algorithm: DigestAlgorithm,
    options: AbortOptions = {}
  ): Promise<StagedContent> {
    const thread = this.#pick()
    const content = await thread.ask(request => ({ type: 'read', request, path, size, algorithm }), options.signal)
    if (content === undefined) throw new Error('hash worker gave no content')
    return content
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#threads.map(thread => thread?.close()))
  }

  /** The least loaded worker; of equals the next in turn. */
  #pick(): HashThread {
    if (this.#closed) throw new Error('hash pool is closed')
    let best = this.#nextThread
    for (let step = 0; step < this.#threads.length; step++) {
      const candidate = (this.#nextThread + step) % this.#threads.length
      if (this.#loadOf(candidate) < this.#loadOf(best)) best = candidate
    }
    this.#nextThread = (best + 1) % this.#threads.length
    const thread = this.#threads[best]
    if (thread?.alive) return thread
    const fresh = new HashThread(this.#entry, this.#ring)
    this.#threads[best] = fresh
    return fresh
  }

  #loadOf(index: number): number {
    const thread = this.#threads[index]
    return thread?.alive ? thread.load : 0
  }
}

class ThreadStream implements HashStream {
  readonly algorithm: DigestAlgorithm
  readonly #thread: HashThread
  readonly #stream: number
  #size: number
  #marked: number

  constructor(thread: HashThread, stream: number, algorithm: DigestAlgorithm, prefix: HashPrefix | undefined) {
    this.#thread = thread
    this.#stream = stream
    this.#size = prefix?.length ?? 0
    this.#marked = prefix?.mark ?? 0
    this.algorithm = algorithm
  }

  get size(): number {
    return this.#size
  }

  get alive(): boolean {
    return this.#thread.alive
  }

  update(slot: Slot, length: number, done: () => void): void {
    this.#size += length
    this.#thread.update(this.#stream, slot.index, length, done)
  }

  mark(): void {
    this.#marked = this.#size
    this.#thread.send({ type: 'mark', stream: this.#stream })
  }

  rewind(): void {
    this.#size = this.#marked
    this.#thread.send({ type: 'rewind', stream: this.#stream })
  }

  content(options: AbortOptions = {}): Promise<StagedContent | undefined> {
    return this.#thread.ask(request => ({ type: 'content', request, stream: this.#stream }), options.signal)
  }

  drop(): void {
    this.#thread.send({ type: 'drop', stream: this.#stream })
  }
}
