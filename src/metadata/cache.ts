/** What an entry costs beside its value: key, list node, map slot. Bytes. */
const OVERHEAD = 256

interface Entry {
  value: object
  cost: number
}

/**
 * Decoded records by database key, bounded by bytes, the least recently used dropped first. It holds only what is in
 * the database: the one writer ({@link Committer}) drops every key it wrote before the commit returns. Absence is not
 * kept, so names made up by clients cannot push out what is used.
 */
export class RecordCache {
  readonly #entries = new Map<string, Entry>()
  readonly #budget: number
  #used = 0

  /** @param budget bytes; 0 keeps nothing */
  constructor(budget: number) {
    this.#budget = budget
  }

  get(key: string): object | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    // A Map iterates in order of insertion: the first entry is the one used longest ago.
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  /** @param bytes what the value takes, its key not counted */
  set(key: string, value: object, bytes: number): void {
    const cost = bytes + 2 * key.length + OVERHEAD
    this.drop(key)
    // One value may not push out most of the others.
    if (cost > this.#budget / 4) return
    this.#entries.set(key, { value, cost })
    this.#used += cost
    if (this.#used > this.#budget) this.#evict()
  }

  drop(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#used -= entry.cost
  }

  clear(): void {
    this.#entries.clear()
    this.#used = 0
  }

  #evict(): void {
    for (const [key, { cost }] of this.#entries) {
      if (this.#used <= this.#budget) return
      this.#entries.delete(key)
      this.#used -= cost
    }
  }
}
