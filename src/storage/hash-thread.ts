import { Worker } from 'node:worker_threads'
import type { StagedContent } from '../registry/ports.ts'
import type { HashReply, HashRequest, HashWorkerData } from './hash-protocol.ts'

interface PendingContent {
  resolve(content: StagedContent | undefined): void
  reject(error: unknown): void
}

/**
 * The main thread's end of one hash worker. The process may exit while nothing is under way in it. When the worker
 * dies, slots come back, answers that were waited for fail, and {@link alive} turns false.
 */
export class HashThread {
  readonly #worker: Worker
  readonly #updates: (() => void)[] = []
  readonly #contents = new Map<number, PendingContent>()
  #nextRequest = 0
  #death: Error | undefined
  #referenced = false

  constructor(entry: URL, ring: SharedArrayBuffer) {
    const workerData: HashWorkerData = { ring }
    // Options of the main thread, such as --input-type, may not suit the worker's file.
    this.#worker = new Worker(entry, { workerData, name: 'pinnace-hash', execArgv: [] })
    this.#worker.unref()
    this.#worker.on('message', (reply: HashReply) => this.#receive(reply))
    this.#worker.on('error', cause => this.#die(new Error('hash worker crashed', { cause })))
    this.#worker.on('exit', code => this.#die(new Error(`hash worker ended with code ${code}`)))
  }

  get alive(): boolean {
    return this.#death === undefined
  }

  /** Things under way: how loaded the thread is. */
  get load(): number {
    return this.#updates.length + this.#contents.size
  }

  send(request: HashRequest): void {
    if (this.alive) this.#worker.postMessage(request)
  }

  /** `done` is called when the worker no longer looks at the slot, also when it died. */
  update(stream: number, slot: number, length: number, done: () => void): void {
    if (!this.alive) {
      done()
      return
    }
    this.#updates.push(done)
    this.send({ type: 'update', stream, slot, length })
    this.#reference()
  }

  /** Asks for content by a message made with the request's number. */
  ask(
    message: (request: number) => HashRequest & { request: number },
    signal: AbortSignal | undefined
  ): Promise<StagedContent | undefined> {
    signal?.throwIfAborted()
    if (this.#death !== undefined) return Promise.reject(this.#death)
    const request = this.#nextRequest++
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#contents.delete(request)
        this.send({ type: 'cancel', request })
        this.#reference()
        reject(signal?.reason)
      }
      const settle = (): void => signal?.removeEventListener('abort', abort)
      this.#contents.set(request, {
        resolve: content => {
          settle()
          resolve(content)
        },
        reject: error => {
          settle()
          reject(error)
        }
      })
      signal?.addEventListener('abort', abort, { once: true })
      this.send(message(request))
      this.#reference()
    })
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  #receive(reply: HashReply): void {
    if (reply.type === 'updated') this.#updates.shift()?.()
    else {
      const pending = this.#contents.get(reply.request)
      this.#contents.delete(reply.request)
      if (reply.type === 'content') pending?.resolve(reply.content)
      else pending?.reject(Object.assign(new Error(reply.error.message), { code: reply.error.code }))
    }
    this.#reference()
  }

  #die(error: Error): void {
    if (this.#death !== undefined) return
    this.#death = error
    for (const done of this.#updates.splice(0)) done()
    for (const pending of this.#contents.values()) pending.reject(error)
    this.#contents.clear()
  }

  /** Keeps the process alive exactly while something is under way. */
  #reference(): void {
    const busy = this.load > 0
    if (busy === this.#referenced) return
    this.#referenced = busy
    if (busy) this.#worker.ref()
    else this.#worker.unref()
  }
}
