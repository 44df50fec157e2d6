import type { AbstractBatchOptions, AbstractKeyIteratorOptions } from 'abstract-level'
import { isStorageFull, RegistryError } from '../errors.ts'
import type { AbortOptions, WorkState } from '../registry/ports.ts'
import { decodeRecord, encodeRecord, type WorkKeys, type WorkPlace, type WorkRecord } from './records.ts'
import { type Layer, Transaction } from './transaction.ts'

/** What the queue needs of an ordered key-value store of the Level family with text keys and values. */
export interface Level {
  get(key: string): Promise<string | undefined>
  getMany(keys: string[]): Promise<(string | undefined)[]>
  keys(options: AbstractKeyIteratorOptions<string>): { all(): Promise<string[]> }
  batch(operations: BatchOperation[], options: AbstractBatchOptions<string, string> & { sync: boolean }): Promise<void>
}

export type BatchOperation = { type: 'put'; key: string; value: string } | { type: 'del'; key: string }

/** Places read at once by a list. */
const chunkSize = 64

interface Pending {
  durable: boolean
  run: (transaction: Transaction) => Promise<void>
  resolve: () => void
  reject: (reason: unknown) => void
}

/**
 * Records and their order, which always agree: every change of a record moves its place in the same batch. The one writer:
 * operations see each other in the order they were made, and those that wait together share one write and one sync.
 */
export class WorkStore {
  readonly #level: Level
  readonly #keys: WorkKeys
  readonly #pending: Pending[] = []
  #working: Promise<void> | undefined

  constructor(level: Level, keys: WorkKeys) {
    this.#level = level
    this.#keys = keys
  }

  /**
   * Applies an operation, whole or not at all. It may be run when it is called or later, once.
   *
   * @param durable - resolve only when it would survive a power cut; else it survives a killed process
   * @throws {RegistryError} STORAGE_FULL
   */
  async write<T>(durable: boolean, operation: (transaction: Transaction) => Promise<T>): Promise<T> {
    let result: { value: T } | undefined
    await new Promise<void>((resolve, reject) => {
      const run = async (transaction: Transaction) => {
        result = { value: await operation(transaction) }
      }
      this.#pending.push({ durable, run, resolve, reject })
      this.#working ??= this.#work()
    })
    if (result === undefined) throw new Error('an operation resolved before it ran')
    return result.value
  }

  async get(kind: string, key: string): Promise<WorkRecord | undefined> {
    const text = await this.#level.get(this.#keys.record(kind, key))
    return text === undefined ? undefined : decodeRecord(text)
  }

  /** The first places of a state, earliest due first. */
  async places(state: WorkState, kind: string | undefined, limit: number, after?: string): Promise<WorkPlace[]> {
    return (await this.#placeKeys(state, kind, limit, after)).map(key => this.#keys.parsePlace(state, key))
  }

  /** Records of a state. No iterator stays open between chunks: a slow consumer holds no snapshot. */
  async *records(state: WorkState, kind?: string, options: AbortOptions = {}): AsyncGenerator<WorkRecord> {
    for (let after: string | undefined; ; ) {
      options.signal?.throwIfAborted()
      const found = await this.#placeKeys(state, kind, chunkSize, after)
      const places = found.map(key => this.#keys.parsePlace(state, key))
      const texts = await this.#level.getMany(places.map(place => this.#keys.record(place.kind, place.key)))
      for (const [index, text] of texts.entries()) {
        const record = text === undefined ? undefined : decodeRecord(text)
        // It moved between the two reads when this is not where it stands.
        if (record?.state === state && record.due === places[index]?.due) yield record
      }
      if (found.length < chunkSize) return
      after = found.at(-1)
    }
  }

  /** Waits for every operation that was made. */
  async idle(): Promise<void> {
    while (this.#working !== undefined) await this.#working
  }

  #placeKeys(state: WorkState, kind: string | undefined, limit: number, after?: string): Promise<string[]> {
    const range = this.#keys.places(state, kind)
    return this.#level.keys({ ...range, ...(after === undefined ? {} : { gt: after }), limit }).all()
  }

  async #work(): Promise<void> {
    // Whoever writes in the same turn of the event loop belongs to the first group.
    await undefined
    while (this.#pending.length > 0) await this.#writeGroup(this.#pending.splice(0))
    this.#working = undefined
  }

  async #writeGroup(group: Pending[]): Promise<void> {
    const changes: Layer = new Map()
    const strays: string[] = []
    const taken: Pending[] = []
    for (const pending of group) {
      const transaction = new Transaction(this.#keys, changes, key => this.#level.get(key))
      try {
        await pending.run(transaction)
        for (const [key, record] of transaction.layer) changes.set(key, record)
        strays.push(...transaction.strays)
        taken.push(pending)
      } catch (error) {
        pending.reject(error)
      }
    }
    const durable = taken.some(pending => pending.durable)
    try {
      await this.#batch(changes, strays, durable)
      for (const pending of taken) pending.resolve()
    } catch (error) {
      const reason = isStorageFull(error) ? new RegistryError('STORAGE_FULL', { cause: error }) : error
      for (const pending of taken) pending.reject(reason)
    }
  }

  async #batch(changes: Layer, strays: readonly string[], durable: boolean): Promise<void> {
    if (changes.size === 0 && strays.length === 0) return
    const keys = [...changes.keys()]
    const before = await this.#level.getMany(keys)
    // First, so that whatever is put at the same place stays.
    const operations: BatchOperation[] = strays.map(key => ({ type: 'del', key }))
    for (const [index, key] of keys.entries()) {
      const text = before[index]
      if (text !== undefined) operations.push({ type: 'del', key: this.#placeOf(decodeRecord(text)) })
      const record = changes.get(key)
      if (record === undefined) {
        operations.push({ type: 'del', key })
      } else {
        operations.push({ type: 'put', key, value: encodeRecord(record) })
        operations.push({ type: 'put', key: this.#placeOf(record), value: '' })
      }
    }
    await this.#level.batch(operations, { sync: durable })
  }

  #placeOf(record: WorkRecord): string {
    return this.#keys.place(record.state, record)
  }
}
