import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Job, Reply, TransferResult } from './jobs.ts'
import type { RequestResult } from './requests.ts'

const entry = fileURLToPath(new URL('process.ts', import.meta.url))

/** The load generator, in a process of its own. */
export class Generator {
  readonly #child: ChildProcess
  readonly #pending = new Map<number, PromiseWithResolvers<Reply>>()
  #next = 0
  #ended = false

  constructor() {
    this.#child = fork(entry, { execArgv: [] })
    this.#child.on('message', (reply: Reply) => {
      this.#pending.get(reply.id)?.resolve(reply)
      this.#pending.delete(reply.id)
    })
    this.#child.on('exit', code => {
      this.#ended = true
      for (const pending of this.#pending.values()) pending.reject(new Error(`load generator ended with ${code}`))
      this.#pending.clear()
    })
  }

  async transfer(job: Job & { type: 'push' | 'pull' | 'image' }, signal: AbortSignal): Promise<TransferResult> {
    const { result } = await this.#run(job, signal)
    if (result === undefined || !('digests' in result)) throw new Error('load generator gave no transfer')
    return result
  }

  /** @param stop ends the load early without failing it */
  async requests(
    job: Job & { type: 'requests' },
    signal: AbortSignal,
    stop?: AbortSignal
  ): Promise<RequestResult & { busy: number }> {
    const { result, busy = 0 } = await this.#run(job, signal, stop)
    if (result === undefined || !('p99' in result)) throw new Error('load generator gave no latencies')
    return { ...result, busy }
  }

  async close(): Promise<void> {
    if (this.#ended) return
    const exited = once(this.#child, 'exit')
    this.#child.disconnect()
    await exited
  }

  async #run(job: Job, signal: AbortSignal, stop?: AbortSignal): Promise<Reply> {
    signal.throwIfAborted()
    if (this.#ended) throw new Error('load generator has ended')
    const id = this.#next++
    const pending = Promise.withResolvers<Reply>()
    this.#pending.set(id, pending)
    const abort = (): void => pending.reject(signal.reason)
    const halt = (): void => void this.#child.send({ id })
    signal.addEventListener('abort', abort, { once: true })
    stop?.addEventListener('abort', halt, { once: true })
    try {
      this.#child.send({ id, job })
      const reply = await pending.promise
      if (reply.error !== undefined) throw new Error(reply.error)
      return reply
    } finally {
      signal.removeEventListener('abort', abort)
      stop?.removeEventListener('abort', halt)
    }
  }
}
