import type { AbortOptions } from '../registry/ports.ts'

interface Waiting {
  take(): void
}

/** A number of things that may go on at once. More wait their turn, first come first served. */
export class Slots {
  readonly #limit: number
  readonly #queue = new Set<Waiting>()
  #taken = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * Takes a slot, which {@link release} gives back, within `waitMs`.
   *
   * @returns false when none came free in that time
   * @throws the reason of the signal
   */
  async take(waitMs: number, options?: AbortOptions): Promise<boolean> {
    options?.signal?.throwIfAborted()
    if (this.#taken < this.#limit) {
      this.#taken++
      return true
    }
    return waitMs > 0 && (await this.#wait(waitMs, options?.signal))
  }

  /** Hands the slot to whoever waits longest. */
  release(): void {
    const [next] = this.#queue
    if (next === undefined) this.#taken--
    else next.take()
  }

  async #wait(waitMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>()
    const waiting: Waiting = {
      take: () => {
        // At once: between this and the waiter's next step it may be released to nobody else.
        this.#queue.delete(waiting)
        resolve(true)
      }
    }
    const leave = (settle: () => void) => () => {
      if (this.#queue.delete(waiting)) settle()
    }
    const onAbort = leave(() => reject(signal?.reason))
    const timer = setTimeout(
      leave(() => resolve(false)),
      waitMs
    )
    this.#queue.add(waiting)
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
  }
}
