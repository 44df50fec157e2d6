import { setImmediate } from 'node:timers/promises'
import { openQueue } from '../../src/queue/open.ts'
import type { LevelWorkQueue, QueueInit } from '../../src/queue/queue.ts'
import type { Log, Worker, WorkerInit, WorkItem, WorkState } from '../../src/registry/ports.ts'
import { CrashingLevel } from './crashing-level.ts'
import { FakeClock } from './fake-clock.ts'

/** One call of a worker, which the test ends. */
export interface Call {
  item: WorkItem
  signal: AbortSignal
  done(): void
  fail(error: unknown): void
}

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }

/** A queue on a table: time, crashes and the ends of work are in the test's hands. */
export class Workbench {
  readonly level = new CrashingLevel()
  readonly clock = new FakeClock()
  /** Calls under way, in the order they began. */
  calls: Call[] = []
  /** What the jitter takes of its range. */
  random = 0
  readonly #init: QueueInit
  #queue: LevelWorkQueue | undefined

  private constructor(init: QueueInit) {
    this.#init = init
  }

  static async open(init: QueueInit = {}): Promise<Workbench> {
    const bench = new Workbench(init)
    await bench.reopen()
    return bench
  }

  get queue(): LevelWorkQueue {
    if (this.#queue === undefined) throw new Error('not open')
    return this.#queue
  }

  /** A new process over what the last one left. */
  async reopen(): Promise<void> {
    this.calls = []
    const components = { level: this.level.handle(), log: silent, clock: this.clock, random: () => this.random }
    this.#queue = await openQueue(components, this.#init)
  }

  register(kind: string, init?: WorkerInit): void {
    this.queue.register(kind, this.worker, init)
  }

  readonly worker: Worker = (item, { signal }) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const call: Call = { item, signal, done: resolve, fail: reject }
    this.calls.push(call)
    const remove = () => {
      this.calls = this.calls.filter(other => other !== call)
    }
    return promise.finally(remove)
  }

  /** Until nothing moves by itself. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 4; quiet = this.level.busy === 0 ? quiet + 1 : 0) await setImmediate()
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms)
    await this.settle()
  }

  async enqueue(key: string, more: { kind?: string; payload?: string; due?: number } = {}): Promise<void> {
    await this.queue.enqueue([{ kind: 'k', key, payload: '', ...more }])
    await this.settle()
  }

  /** Keys of the calls under way. */
  get running(): string[] {
    return this.calls.map(call => call.item.key)
  }

  call(key: string): Call {
    const call = this.calls.find(other => other.item.key === key)
    if (call === undefined) throw new Error(`nobody is at ${key}`)
    return call
  }

  async done(key: string): Promise<void> {
    this.call(key).done()
    await this.settle()
  }

  async fail(key: string, error: unknown = new Error('no')): Promise<void> {
    this.call(key).fail(error)
    await this.settle()
  }

  async list(state: WorkState, kind?: string): Promise<WorkItem[]> {
    const items: WorkItem[] = []
    for await (const item of this.queue.list(state, kind)) items.push(item)
    return items
  }
}
