interface Entry<T> {
  value: T
  weight: number
}

/**
 * A map of a bounded size. What was not asked for longest is forgotten, half of the map at once: keeping two generations
 * costs less than keeping an order, and what is in use moves to the young one when it is asked for.
 */
export class Remembered<T> {
  readonly #half: number
  #young = new Map<string, Entry<T>>()
  #old = new Map<string, Entry<T>>()
  /** Of the young ones. */
  #weight = 0

  /** @param limit - entries, or the sum of their weights */
  constructor(limit: number) {
    this.#half = Math.max(1, Math.floor(limit / 2))
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  get(key: string): T | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young.value
    const old = this.#old.get(key)
    if (old === undefined) return undefined
    this.set(key, old.value, old.weight)
    return old.value
  }

  /** @param weight - what of the limit it takes; one that takes more than half is not kept */
  set(key: string, value: T, weight = 1): void {
    this.delete(key)
    if (weight > this.#half) return
    if (this.#weight + weight > this.#half) {
      this.#old = this.#young
      this.#young = new Map()
      this.#weight = 0
    }
    this.#young.set(key, { value, weight })
    this.#weight += weight
  }

  delete(key: string): void {
    this.#weight -= this.#young.get(key)?.weight ?? 0
    this.#young.delete(key)
    this.#old.delete(key)
  }
}
