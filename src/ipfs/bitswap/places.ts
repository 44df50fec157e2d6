import { setMaxListeners } from 'node:events'

/** Blocks in memory for all peers together: being read, read ahead, being sent. A block has 1 MiB at most. */
const capacity = 64
/** Blocks one peer may have of them, while at least half are free and after. */
const ofPeer = { usually: 3, crowded: 1 } as const
/** ms that a peer may be in sending one block while another peer waits for a place. */
const patience = 10_000

/** A peer that blocks are in memory for. */
export interface Holder {
  /** Others wait and this one hardly reads. Its places have to be released. */
  giveWay(): void
}

interface Waiting {
  holder: Holder
  taken(): void
}

/**
 * Bounds the blocks in memory. Peers that ask and do not read would each keep theirs until their time is up: when all
 * places are taken and somebody waits, whoever has got no block out for longest loses its own.
 */
export class Places {
  readonly #waiting: Waiting[] = []
  /** Places of each holder, and when it last took its first one or released one. */
  readonly #holders = new Map<Holder, { count: number; since: number }>()
  #taken = 0
  #check: NodeJS.Timeout | undefined

  /** Blocks a peer may have in memory now. */
  get depth(): number {
    return this.#taken > capacity / 2 ? ofPeer.crowded : ofPeer.usually
  }

  /** A place, first come first served. @throws when the signal aborts before */
  async take(holder: Holder, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#taken < capacity && this.#waiting.length === 0) return this.#give(holder)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting = { holder, taken: resolve }
    const aborted = (): void => {
      const index = this.#waiting.indexOf(waiting)
      if (index >= 0) this.#waiting.splice(index, 1)
      reject(signal.reason)
    }
    this.#waiting.push(waiting)
    setMaxListeners(0, signal)
    signal.addEventListener('abort', aborted, { once: true })
    this.#watch()
    await promise.finally(() => signal.removeEventListener('abort', aborted))
  }

  release(holder: Holder): void {
    const held = this.#holders.get(holder)
    if (held === undefined) return
    this.#taken--
    held.count--
    held.since = performance.now()
    if (held.count === 0) this.#holders.delete(holder)
    const next = this.#waiting.shift()
    if (next === undefined) return
    this.#give(next.holder)
    next.taken()
  }

  #give(holder: Holder): void {
    const held = this.#holders.get(holder) ?? { count: 0, since: performance.now() }
    held.count++
    this.#taken++
    this.#holders.set(holder, held)
  }

  #watch(): void {
    this.#check ??= setTimeout(() => {
      this.#check = undefined
      if (this.#waiting.length === 0) return
      const [slowest] = [...this.#holders].sort(([, a], [, b]) => a.since - b.since)
      if (slowest !== undefined && performance.now() - slowest[1].since >= patience) slowest[0].giveWay()
      this.#watch()
    }, patience / 10).unref()
  }
}
