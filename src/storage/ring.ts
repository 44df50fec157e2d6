import type { AbortOptions } from '../registry/ports.ts'

/** Bytes of a slot. One leaf, so that an aligned stream hashes whole leaves. */
export const slotSize = 1 << 20

/** A piece of the ring, owned by one stream until {@link Ring.release}. */
export interface Slot {
  readonly index: number
  readonly bytes: Buffer
}

/** Of the platform's types, which this project does not load, the one thing needed here. */
declare const WebAssembly: {
  Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => { readonly buffer: SharedArrayBuffer }
}

interface Waiter {
  resolve(slot: Slot): void
  reject(reason: unknown): void
}

/**
 * A fixed number of 1 MiB slots of shared memory that bodies are copied into, to be hashed by a worker and written to
 * disk without another copy. Its size bounds the memory of all uploads together; streams that find it empty wait in
 * order of arrival, which is their backpressure. A slot never waits for a client: one that is parked half filled is
 * taken back when somebody else needs it.
 */
export class Ring {
  readonly memory: SharedArrayBuffer
  readonly #free: Slot[] = []
  readonly #waiters: Waiter[] = []
  /**
   * The one idle for longest comes first. Not a `Map`: one that is added to and deleted from with each chunk leaves a chain
   * of discarded tables, of which a young collection frees none once the first of them is old.
   */
  readonly #parked: { slot: Slot; flush(): void }[] = []

  constructor(slots: number) {
    this.memory = pageAligned(slots * slotSize)
    // The last released is the next taken, so pages that were never needed are never touched.
    for (let index = slots - 1; index >= 0; index--)
      this.#free.push({ index, bytes: Buffer.from(this.memory, index * slotSize, slotSize) })
  }

  /** Slots nobody holds. */
  get free(): number {
    return this.#free.length
  }

  async acquire(options: AbortOptions = {}): Promise<Slot> {
    options.signal?.throwIfAborted()
    const slot = this.#free.pop()
    if (slot !== undefined) return slot
    return this.#wait(options.signal)
  }

  /** A slot at once, or `undefined` when the caller has to wait in {@link acquire}. */
  tryAcquire(): Slot | undefined {
    return this.#free.pop()
  }

  /**
   * The holder waits for its client. `flush` has to pass the slot on to whoever releases it in bounded time; it may be
   * called before `park` returns.
   */
  park(slot: Slot, flush: () => void): void {
    if (this.#waiters.length > 0) flush()
    else this.#parked.push({ slot, flush })
  }

  unpark(slot: Slot): void {
    const at = this.#parked.findIndex(parked => parked.slot === slot)
    if (at >= 0) this.#parked.splice(at, 1)
  }

  release(slot: Slot): void {
    const waiter = this.#waiters.shift()
    if (waiter === undefined) this.#free.push(slot)
    else waiter.resolve(slot)
  }

  #wait(signal: AbortSignal | undefined): Promise<Slot> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        resolve: slot => {
          signal?.removeEventListener('abort', abort)
          resolve(slot)
        },
        reject
      }
      const abort = (): void => {
        const at = this.#waiters.indexOf(waiter)
        if (at >= 0) this.#waiters.splice(at, 1)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#waiters.push(waiter)
      this.#reclaim()
    })
  }

  #reclaim(): void {
    this.#parked.shift()?.flush()
  }
}

/**
 * Shared memory that starts at a page, as writes past the page cache need. An ordinary `SharedArrayBuffer` starts
 * somewhere inside one; memory made for WebAssembly does not, but wants address space that a limit may deny.
 */
function pageAligned(bytes: number): SharedArrayBuffer {
  const pages = Math.ceil(bytes / 65_536)
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer
  } catch {
    return new SharedArrayBuffer(bytes)
  }
}
