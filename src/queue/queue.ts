import type {
  AbortOptions,
  Log,
  NewWork,
  Worker,
  WorkerInit,
  WorkItem,
  WorkQueue,
  WorkState
} from '../registry/ports.ts'
import { interrupted } from './attempt.ts'
import { type QueueClock, systemClock } from './clock.ts'
import { Lane } from './lane.ts'
import { checkName, itemOf, timeOf, WorkKeys } from './records.ts'
import { type Level, WorkStore } from './store.ts'

export interface QueueComponents {
  /** Open, and closed by whoever opened it after {@link LevelWorkQueue.stop}. Of its keys only those below the prefix are touched. */
  level: Level
  log: Log
  /** Default the system's. */
  clock?: QueueClock
  /** In [0, 1). Default `Math.random`. */
  random?: () => number
}

export interface QueueInit {
  /** Beginning of every key. Default `queue`. */
  prefix?: string
}

export interface StopOptions {
  /** ms that work under way has to end by itself, and again to end once its signal is aborted. Default 5 s. */
  graceMs?: number
}

/** {@link WorkQueue} over any ordered store of the Level family. One process at a time. */
export class LevelWorkQueue implements WorkQueue {
  readonly #store: WorkStore
  readonly #clock: QueueClock
  readonly #log: Log
  readonly #random: () => number
  readonly #lanes = new Map<string, Lane>()
  #stopped: Promise<void> | undefined

  constructor(components: QueueComponents, init: QueueInit = {}) {
    this.#store = new WorkStore(components.level, new WorkKeys(init.prefix ?? 'queue'))
    this.#clock = components.clock ?? systemClock
    this.#log = components.log
    this.#random = components.random ?? Math.random
  }

  /** What was under way when the last process ended is due again. Its cost is that alone. To be called once, first. */
  async recover(): Promise<void> {
    for await (const { kind, key } of this.#store.records('running')) {
      await this.#store.write(false, async transaction => {
        const record = await transaction.get(kind, key)
        if (record?.state === 'running') transaction.put(interrupted(record, this.#clock.now(), this.#random()))
      })
    }
  }

  async enqueue(work: readonly NewWork[], options: AbortOptions = {}): Promise<void> {
    for (const { kind, key } of work) {
      checkName('kind', kind)
      checkName('key', key)
    }
    options.signal?.throwIfAborted()
    await this.#store.write(true, async transaction => {
      const now = timeOf(this.#clock.now())
      for (const { kind, key, payload, due = now } of work)
        transaction.put({ kind, key, payload, state: 'waiting', due: timeOf(due), attempts: 0, enqueuedAt: now })
    })
    for (const kind of new Set(work.map(item => item.kind))) this.#lanes.get(kind)?.wake()
  }

  async retry(kind: string, key: string): Promise<boolean> {
    const found = await this.#store.write(true, async transaction => {
      const record = await transaction.get(kind, key)
      if (record === undefined || record.state === 'running') return false
      const { interrupted: _interrupted, ...rest } = record
      transaction.put({ ...rest, state: 'waiting', due: timeOf(this.#clock.now()), attempts: 0 })
      return true
    })
    if (found) this.#lanes.get(kind)?.wake()
    return found
  }

  async drop(kind: string, key: string): Promise<boolean> {
    const lane = this.#lanes.get(kind)
    const running = lane?.running(key)
    const dropped = await this.#store.write(true, async transaction => {
      const record = await transaction.get(kind, key)
      if (record !== undefined) transaction.delete(kind, key)
      return record
    })
    if (dropped === undefined) return false
    lane?.abort(key, [running, dropped.lease])
    return true
  }

  async get(kind: string, key: string): Promise<WorkItem | undefined> {
    const record = await this.#store.get(kind, key)
    return record === undefined ? undefined : itemOf(record)
  }

  async *list(state: WorkState, kind?: string, options: AbortOptions = {}): AsyncGenerator<WorkItem> {
    for await (const record of this.#store.records(state, kind, options)) yield itemOf(record)
  }

  /** @throws {TypeError} for a second worker of a kind */
  register(kind: string, worker: Worker, init: WorkerInit = {}): void {
    if (this.#lanes.has(kind)) throw new TypeError(`work of kind "${kind}" has a worker already`)
    const components = { store: this.#store, clock: this.#clock, log: this.#log, random: this.#random }
    const lane = new Lane(components, checkName('kind', kind), worker, init)
    this.#lanes.set(kind, lane)
    if (this.#stopped === undefined) lane.wake()
  }

  /**
   * Begins nothing more, lets what is under way end, then breaks it off: that is due again at the next start, its attempt
   * not counted. Enqueuing stays possible, for requests that are still being answered. Idempotent.
   */
  stop(options: StopOptions = {}): Promise<void> {
    this.#stopped ??= this.#stop(options.graceMs ?? 5_000)
    return this.#stopped
  }

  async #stop(graceMs: number): Promise<void> {
    const lanes = [...this.#lanes.values()]
    const ended = Promise.all(lanes.map(lane => lane.stop()))
    if (!(await this.#inTime(ended, graceMs))) {
      for (const lane of lanes) lane.abortAll()
      if (!(await this.#inTime(ended, graceMs)))
        this.#log.warn({}, 'some work goes on after its signal; it will be done again at the next start')
    }
    await this.#store.idle()
  }

  /** Whether it ended within that many ms. */
  #inTime(ended: Promise<unknown>, ms: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.at(this.#clock.now() + ms, () => resolve(false))
      ended.then(() => resolve(true), reject).finally(cancel)
    })
  }
}
