import type { WorkState } from '../registry/ports.ts'
import { decodeRecord, type WorkKeys, type WorkPlace, type WorkRecord } from './records.ts'

/** Records by their key in the database; `undefined` is one deleted. */
export type Layer = Map<string, WorkRecord | undefined>

/** Reads and changes of one operation, seen by nobody before it succeeded. */
export class Transaction {
  readonly layer: Layer = new Map()
  /** Keys of places where nothing stands. */
  readonly strays: string[] = []
  readonly #below: Layer
  readonly #keys: WorkKeys
  readonly #read: (key: string) => Promise<string | undefined>

  /** @param below what earlier operations changed that is not in the database yet */
  constructor(keys: WorkKeys, below: Layer, read: (key: string) => Promise<string | undefined>) {
    this.#keys = keys
    this.#below = below
    this.#read = read
  }

  async get(kind: string, key: string): Promise<WorkRecord | undefined> {
    const at = this.#keys.record(kind, key)
    for (const layer of [this.layer, this.#below]) if (layer.has(at)) return layer.get(at)
    const text = await this.#read(at)
    return text === undefined ? undefined : decodeRecord(text)
  }

  put(record: WorkRecord): void {
    this.layer.set(this.#keys.record(record.kind, record.key), record)
  }

  delete(kind: string, key: string): void {
    this.layer.set(this.#keys.record(kind, key), undefined)
  }

  /**
   * Removes a place whose record stands elsewhere. There are such after a power cut that took an unsynced write and left a
   * later one.
   */
  removeStray(state: WorkState, place: WorkPlace): void {
    this.strays.push(this.#keys.place(state, place))
  }
}
