import { countedPrefix } from './keys.ts'

export type Value = string | Uint8Array

/**
 * Changes that are decided but not yet written, over those of the layer below. One commit gathers its changes in a
 * layer of its own and is merged into its group's only when it is complete, so that a commit that fails midway leaves
 * the group as it was.
 */
export class Layer {
  /** The last change of each key; `undefined` deletes. */
  readonly changes = new Map<string, Value | undefined>()
  readonly #below: Layer | undefined
  /** Keys put, less puts of the layer below that are undone, for each counted prefix. */
  readonly #puts = new Map<string, number>()
  #bytes = 0

  constructor(below?: Layer) {
    this.#below = below
  }

  /** Bytes of keys and values, roughly what the write will take. */
  get bytes(): number {
    return this.#bytes
  }

  /** The value this or a layer below puts, `null` when deleted, `undefined` when only the database can tell. */
  peek(key: string): Value | null | undefined {
    const value = this.changes.get(key)
    if (value !== undefined) return value
    return this.changes.has(key) ? null : this.#below?.peek(key)
  }

  put(key: string, value: Value): void {
    this.#set(key, value)
  }

  del(key: string): void {
    this.#set(key, undefined)
  }

  /** How many keys under a counted prefix are put by this layer and those below. */
  putsUnder(prefix: string): number {
    return (this.#puts.get(prefix) ?? 0) + (this.#below?.putsUnder(prefix) ?? 0)
  }

  /** Takes over the changes of a layer made over this one. */
  merge(above: Layer): void {
    for (const [key, value] of above.changes) this.changes.set(key, value)
    for (const [prefix, count] of above.#puts) this.#puts.set(prefix, (this.#puts.get(prefix) ?? 0) + count)
    this.#bytes += above.#bytes
  }

  #set(key: string, value: Value | undefined): void {
    const prefix = countedPrefix(key)
    if (prefix !== undefined) {
      const before = this.peek(key)
      const wasPut = before !== undefined && before !== null
      const step = Number(value !== undefined) - Number(wasPut)
      if (step !== 0) this.#puts.set(prefix, (this.#puts.get(prefix) ?? 0) + step)
    }
    this.changes.set(key, value)
    this.#bytes += key.length + (value?.length ?? 0)
  }
}
