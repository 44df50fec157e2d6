import type { AbstractIterator } from 'abstract-level'
import type { Database, Level } from './database.ts'
import type { KeyRange } from './keys.ts'

/**
 * Chunks that one iterator reads: it holds back what was deleted meanwhile. Not one each: what LevelDB keeps of an iterator
 * stays until JavaScript's next garbage collection, which small objects do not bring about.
 */
const chunksAnIterator = 64

/** Keys of a range, read forward in chunks, also across an opening of the database; with values when they are asked for. */
export class ForwardCursor {
  readonly #database: Database
  readonly #values: boolean
  readonly #end: string
  /** The next key is the first above this. */
  #after: string
  #iterator: AbstractIterator<Level, string, string> | undefined
  #opening = 0
  #chunks = 0

  constructor(database: Database, range: KeyRange, { values = false } = {}) {
    this.#database = database
    this.#values = values
    this.#after = range.gt
    this.#end = range.lt
  }

  /** At most so many, fewer where they are large; none at the end. */
  async next(limit: number): Promise<[key: string, value: string][]> {
    const items = await this.#database.reading(async () => {
      const iterator = await this.#usable()
      this.#chunks++
      return iterator.nextv(limit)
    })
    this.#after = items.at(-1)?.[0] ?? this.#after
    return items
  }

  /** Passes over what lies below `bound`, which is no key itself. Never back. */
  passTo(bound: string): void {
    if (bound <= this.#after) return
    this.#after = bound
    if (this.#isOpen()) this.#iterator?.seek(bound)
  }

  async close(): Promise<void> {
    await this.#iterator?.close()
    this.#iterator = undefined
  }

  #isOpen(): boolean {
    return this.#database.usable && this.#opening === this.#database.openings
  }

  async #usable(): Promise<AbstractIterator<Level, string, string>> {
    if (this.#iterator !== undefined && this.#isOpen() && this.#chunks < chunksAnIterator) return this.#iterator
    await this.close()
    this.#opening = this.#database.openings
    this.#chunks = 0
    this.#iterator = this.#database.iterator({ gt: this.#after, lt: this.#end }, this.#values)
    return this.#iterator
  }
}
