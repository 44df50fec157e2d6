/** What an entry costs beside its value: key, list node, map slot. Bytes. */
const OVERHEAD = 256

/** In a ring: `older` of the ring's head is the entry used last, `newer` of it the one used longest ago. */
class Entry {
  readonly key: string
  readonly value: object
  readonly cost: number
  newer: Entry = this
  older: Entry = this

  constructor(key: string, value: object, cost: number) {
    this.key = key
    this.value = value
    this.cost = cost
  }
}

/**
 * Decoded records by database key, bounded by bytes, the least recently used dropped first. It holds only what is in
 * the database: the one writer (`Committer`) drops every key it wrote before the commit returns. Absence is not kept,
 * so names made up by clients cannot push out what is used.
 *
 * The order is a linked ring: moving a key to the end of a `Map` fills it with holes, and filling them again costs
 * more than all the rest of a read.
 */
export class RecordCache {
  readonly #entries = new Map<string, Entry>()
  readonly #head = new Entry('', {}, 0)
  readonly #budget: number
  #used = 0

  /** @param budget bytes; 0 keeps nothing */
  constructor(budget: number) {
    this.#budget = budget
  }

  get(key: string): object | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (entry !== this.#head.older) {
      unlink(entry)
      this.#pushNewest(entry)
    }
    return entry.value
  }

  /** @param bytes what the value takes, its key not counted */
  set(key: string, value: object, bytes: number): void {
    const cost = bytes + 2 * key.length + OVERHEAD
    this.drop(key)
    // One value may not push out most of the others.
    if (cost > this.#budget / 4) return
    const entry = new Entry(key, value, cost)
    this.#entries.set(key, entry)
    this.#pushNewest(entry)
    this.#used += cost
    while (this.#used > this.#budget) this.drop(this.#head.newer.key)
  }

  drop(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    unlink(entry)
    this.#used -= entry.cost
  }

  clear(): void {
    this.#entries.clear()
    this.#head.newer = this.#head
    this.#head.older = this.#head
    this.#used = 0
  }

  #pushNewest(entry: Entry): void {
    entry.newer = this.#head
    entry.older = this.#head.older
    this.#head.older.newer = entry
    this.#head.older = entry
  }
}

function unlink(entry: Entry): void {
  entry.newer.older = entry.older
  entry.older.newer = entry.newer
}
