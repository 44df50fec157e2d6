/** Stops what was started, in reverse order, once. */
export class Closers {
  readonly #closers: (() => Promise<unknown>)[] = []
  #closing: Promise<void> | undefined

  add<T>(started: T, close: (started: T) => Promise<unknown>): T {
    this.#closers.push(() => close(started))
    return started
  }

  /** Every one is closed, even after one failed; the first failure is thrown at the end. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const failures: unknown[] = []
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
