/**
 * How work lies in the database. A record a key, and beside it an index entry whose key orders the work of a state and kind
 * by the time it is due. Parts are separated by NUL, which none of them contains.
 *
 * @module
 */
import type { WorkItem, WorkState } from '../registry/ports.ts'

const NUL = '\0'
/** The first byte above the separator. */
const ABOVE = '\x01'
/** Decimal digits of a time, so that byte order is time order; enough for any date of JavaScript. */
const digits = 16

/** An item as stored. */
export interface WorkRecord extends WorkItem {
  /** Who is at it: a finished attempt counts only for the record that it began with. */
  lease?: string
  /** Attempts in a row that a crash cut short. */
  interrupted?: number
}

/** Where an item stands in the order of its state and kind. */
export interface WorkPlace {
  kind: string
  due: number
  key: string
}

export interface KeyRange {
  gt: string
  lt: string
}

/** Keys under a prefix of the queue's own. */
export class WorkKeys {
  readonly #records: string
  readonly #places: string

  constructor(prefix: string) {
    this.#records = `${prefix}${NUL}work${NUL}`
    this.#places = `${prefix}${NUL}order${NUL}`
  }

  record(kind: string, key: string): string {
    return `${this.#records}${kind}${NUL}${key}`
  }

  place(state: WorkState, { kind, due, key }: WorkPlace): string {
    return [this.#places + state, kind, String(due).padStart(digits, '0'), key].join(NUL)
  }

  /** Every place of a state, or of one kind in it, from the earliest due. */
  places(state: WorkState, kind?: string): KeyRange {
    const prefix = this.#places + state + (kind === undefined ? '' : NUL + kind)
    return { gt: prefix + NUL, lt: prefix + ABOVE }
  }

  parsePlace(state: WorkState, placeKey: string): WorkPlace {
    const [kind = '', due = '', key = ''] = placeKey.slice(this.#places.length + state.length + 1).split(NUL)
    return { kind, due: Number(due), key }
  }
}

export function encodeRecord(record: WorkRecord): string {
  return JSON.stringify(record)
}

/** Only this program writes records, so their form is trusted; that they are JSON at all is not. */
export function decodeRecord(text: string): WorkRecord {
  try {
    return JSON.parse(text) as WorkRecord
  } catch (cause) {
    throw new Error(`a record of the work queue is damaged: ${JSON.stringify(text.slice(0, 80))}`, { cause })
  }
}

/** What callers see of a record. */
export function itemOf(record: WorkRecord): WorkItem {
  const { lease: _lease, interrupted: _interrupted, ...item } = record
  return item
}

/** A time that can be part of a key. */
export function timeOf(value: number): number {
  if (Number.isNaN(value)) throw new TypeError('a time is ms since epoch')
  return Math.min(Math.max(0, Math.ceil(value)), 8.64e15)
}

/** @throws {TypeError} for what cannot be part of a key */
export function checkName(what: string, value: string): string {
  if (value === '' || value.includes(NUL)) throw new TypeError(`${what} of work must be text without NUL`)
  return value
}
