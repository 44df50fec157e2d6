import { randomUUID } from 'node:crypto'
import type { Log, Worker, WorkerInit } from '../registry/ports.ts'
import { begun, ended, type Outcome } from './attempt.ts'
import type { QueueClock } from './clock.ts'
import { itemOf, type WorkPlace, type WorkRecord } from './records.ts'
import type { WorkStore } from './store.ts'

/** ms after which the database is tried again when it failed. */
const pause = 5_000

export interface LaneComponents {
  store: WorkStore
  clock: QueueClock
  log: Log
  random: () => number
}

/** One attempt under way. */
interface Run {
  lease: string
  stop: AbortController
  ended: Promise<void>
}

/** Does the work of one kind as it comes due, so much at once and never one key twice at a time. */
export class Lane {
  readonly #components: LaneComponents
  readonly #kind: string
  readonly #worker: Worker
  readonly #init: WorkerInit
  readonly #runs = new Map<string, Run>()
  #dispatching = false
  #again = false
  #cancelTimer: (() => void) | undefined
  #stopping = false

  constructor(components: LaneComponents, kind: string, worker: Worker, init: WorkerInit) {
    this.#components = components
    this.#kind = kind
    this.#worker = worker
    this.#init = init
  }

  /** Something may be due. */
  wake(): void {
    if (this.#stopping) return
    this.#again = true
    if (!this.#dispatching) void this.#dispatch()
  }

  /** The attempt under way for a key, to be named to {@link abort}. */
  running(key: string): string | undefined {
    return this.#runs.get(key)?.lease
  }

  /** Stops the worker of a key if it is at one of these attempts. */
  abort(key: string, leases: readonly (string | undefined)[]): void {
    const run = this.#runs.get(key)
    if (run !== undefined && leases.includes(run.lease)) run.stop.abort(new Error('the work was dropped'))
  }

  /** Nothing new is begun; resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#cancelTimer?.()
    while (this.#runs.size > 0) await Promise.all([...this.#runs.values()].map(run => run.ended))
  }

  /** After {@link stop}: breaks off what is under way. */
  abortAll(): void {
    for (const { stop } of this.#runs.values()) stop.abort(new Error('the queue is stopping'))
  }

  async #dispatch(): Promise<void> {
    const { clock, log } = this.#components
    this.#dispatching = true
    try {
      while (this.#again && !this.#stopping) {
        this.#again = false
        this.#cancelTimer?.()
        await this.#beginDue()
      }
    } catch (error) {
      log.error({ err: error, kind: this.#kind }, 'the work queue could not be read; it will be tried again')
      this.#wakeAt(clock.now() + pause)
    } finally {
      this.#dispatching = false
    }
  }

  async #beginDue(): Promise<void> {
    const { store, clock } = this.#components
    while (this.#runs.size < (this.#init.concurrency ?? 1) && !this.#stopping) {
      // Replaced while it is being done, an item waits for that to end.
      const places = await store.places('waiting', this.#kind, this.#runs.size + 1)
      const next = places.find(place => !this.#runs.has(place.key))
      if (next === undefined) return
      if (next.due > clock.now()) return this.#wakeAt(next.due)
      const record = await this.#lease(next)
      if (record !== undefined) this.#begin(record)
    }
  }

  #wakeAt(time: number): void {
    this.#cancelTimer?.()
    if (!this.#stopping) this.#cancelTimer = this.#components.clock.at(time, () => this.wake())
  }

  /** `undefined` when the item changed meanwhile. */
  #lease(place: WorkPlace): Promise<WorkRecord | undefined> {
    const { store, clock } = this.#components
    return store.write(false, async transaction => {
      if (this.#stopping) return undefined
      const record = await transaction.get(this.#kind, place.key)
      if (record?.state !== 'waiting' || record.due !== place.due) {
        transaction.removeStray('waiting', place)
        return undefined
      }
      const leased = begun(record, randomUUID(), clock.now())
      transaction.put(leased)
      return leased
    })
  }

  #begin(record: WorkRecord): void {
    const stop = new AbortController()
    const attempt = this.#attempt(record, stop).finally(() => {
      this.#runs.delete(record.key)
      this.wake()
    })
    this.#runs.set(record.key, { lease: record.lease ?? '', stop, ended: attempt })
  }

  async #attempt(record: WorkRecord, stop: AbortController): Promise<void> {
    const { clock, log } = this.#components
    const { timeoutMs } = this.#init
    const expire = () => stop.abort(new Error(`took longer than ${timeoutMs} ms`))
    const cancel = timeoutMs === undefined ? undefined : clock.at(clock.now() + timeoutMs, expire)
    let outcome: Outcome = 'done'
    try {
      await this.#worker(itemOf(record), { signal: stop.signal })
    } catch (error) {
      outcome = this.#stopping && stop.signal.aborted ? 'stopped' : { error }
      const { kind, key, attempts } = record
      if (outcome !== 'stopped') log.info({ err: error, kind, key, attempts }, 'work failed')
    } finally {
      cancel?.()
    }
    await this.#settle(record, outcome)
  }

  /** Until it is written the item would stay under way for good; after a stop the next start sees to it. */
  async #settle(record: WorkRecord, outcome: Outcome): Promise<void> {
    for (;;) {
      try {
        return await this.#write(record, outcome)
      } catch (error) {
        const { kind, key } = record
        this.#components.log.error({ err: error, kind, key }, 'the end of work could not be noted')
        if (this.#stopping) return
        await this.#sleep()
      }
    }
  }

  #write({ kind, key, lease }: WorkRecord, outcome: Outcome): Promise<void> {
    const { store, clock, random, log } = this.#components
    return store.write(false, async transaction => {
      const record = await transaction.get(kind, key)
      // Dropped or replaced meanwhile: what this attempt did is of no account.
      if (record?.lease === undefined || record.lease !== lease) return
      const next = ended(record, outcome, this.#init, clock.now(), random())
      if (next === undefined) return transaction.delete(kind, key)
      transaction.put(next)
      if (next.state === 'failed') log.warn({ kind, key, error: next.error }, 'work failed for good')
    })
  }

  #sleep(): Promise<void> {
    const { clock } = this.#components
    return new Promise(resolve => {
      clock.at(clock.now() + pause, resolve)
    })
  }
}
