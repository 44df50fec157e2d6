import type { Database } from './database.ts'
import { rangeOf } from './keys.ts'
import type { Layer, Value } from './layer.ts'

const none: ReadonlySet<string> = new Set()

/**
 * The database as it will be once the changes of a layer are written. The caller has awaited that the database is
 * usable and is its only writer.
 */
export class View {
  readonly #database: Database
  readonly #layer: Layer

  constructor(database: Database, layer: Layer) {
    this.#database = database
    this.#layer = layer
  }

  async text(key: string): Promise<string | undefined> {
    const pending = this.#layer.peek(key)
    if (pending !== undefined) return pending === null ? undefined : textOf(pending)
    while (!this.#database.usable) await this.#database.ready()
    return this.#database.text(key)
  }

  async bytes(key: string): Promise<Uint8Array | undefined> {
    const pending = this.#layer.peek(key)
    if (pending !== undefined) return pending === null ? undefined : bytesOf(pending)
    while (!this.#database.usable) await this.#database.ready()
    return this.#database.bytes(key)
  }

  async has(key: string): Promise<boolean> {
    return (await this.text(key)) !== undefined
  }

  /** Which of the keys exist, asked of the database at once and off the event loop. */
  async hasMany(keys: string[]): Promise<boolean[]> {
    const pending = keys.map(key => this.#layer.peek(key))
    const stored = await this.#database.hasMany(keys.filter((_, index) => pending[index] === undefined))
    let next = 0
    return pending.map(value => (value === undefined ? stored[next++] === true : value !== null))
  }

  /**
   * Whether any key begins with the prefix, which must be one that {@link Layer} counts. `except` names keys that do not
   * count once they are in the database; while one is only in the layer, the answer errs towards yes.
   */
  async anyUnder(prefix: string, except: ReadonlySet<string> = none): Promise<boolean> {
    if (this.#layer.putsUnder(prefix) > 0) return true
    let after: string | undefined
    for (let limit = 4; ; limit = Math.min(2 * limit, 1024)) {
      const { items, done } = await this.#database.keys(rangeOf(prefix, after), limit)
      // No key under the prefix is put, so one that the layer knows is one that it deletes.
      if (items.some(key => this.#layer.peek(key) === undefined && !except.has(key))) return true
      if (done) return false
      after = items.at(-1)?.slice(prefix.length)
    }
  }
}

function bytesOf(value: Value): Uint8Array {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : value
}

function textOf(value: Value): string {
  return typeof value === 'string' ? value : Buffer.from(value).toString('utf8')
}
