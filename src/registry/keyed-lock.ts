import type { AbortOptions } from './ports.ts'

export interface KeyedLockOptions extends AbortOptions {
  /** ms to wait for the holder before {@link LockTimeout}. Default: as long as it takes. */
  timeoutMs?: number
}

export class LockTimeout extends Error {
  override readonly name = 'LockTimeout'
}

/** Mutual exclusion by key, first come first served. Holds memory only for keys in use. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>()

  /** Whether somebody holds the key or waits for it. */
  isTaken(key: string): boolean {
    return this.#tails.has(key)
  }

  async run<T>(key: string, work: () => Promise<T>, options: KeyedLockOptions = {}): Promise<T> {
    const before = this.#tails.get(key)
    const { promise: done, resolve: finish } = Promise.withResolvers<void>()
    const tail = before === undefined ? done : before.then(() => done)
    this.#tails.set(key, tail)
    try {
      if (before !== undefined) await turn(before, options)
    } catch (error) {
      finish()
      // The holder is still at work: forgotten only now, the next one would not wait for it.
      void tail.then(() => this.#forget(key, tail))
      throw error
    }
    try {
      return await work()
    } finally {
      finish()
      this.#forget(key, tail)
    }
  }

  #forget(key: string, tail: Promise<void>): void {
    if (this.#tails.get(key) === tail) this.#tails.delete(key)
  }
}

/** Waits for the holder; giving up leaves the place in the queue to be passed at once. */
async function turn(before: Promise<void>, options: KeyedLockOptions): Promise<void> {
  const { signal, timeoutMs } = options
  signal?.throwIfAborted()
  const { promise: stopped, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal?.reason)
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => reject(new LockTimeout()), timeoutMs)
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([before, stopped])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}
