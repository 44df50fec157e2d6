import type { QueueClock } from '../../src/queue/clock.ts'

/** Time that moves when a test says so. */
export class FakeClock implements QueueClock {
  #now: number
  readonly #alarms = new Set<{ time: number; callback: () => void }>()

  constructor(now = 1_000_000) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  at(time: number, callback: () => void): () => void {
    const alarm = { time, callback }
    this.#alarms.add(alarm)
    if (time <= this.#now) queueMicrotask(() => this.#ring(alarm))
    return () => this.#alarms.delete(alarm)
  }

  /** How many wait to be called back. */
  get alarms(): number {
    return this.#alarms.size
  }

  advance(ms: number): void {
    this.#now += ms
    for (const alarm of [...this.#alarms].sort((a, b) => a.time - b.time))
      if (alarm.time <= this.#now) this.#ring(alarm)
  }

  #ring(alarm: { time: number; callback: () => void }): void {
    if (this.#alarms.delete(alarm)) alarm.callback()
  }
}
