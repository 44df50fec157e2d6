import type { Clock } from '../registry/ports.ts'

/** Time, and being woken at a time. */
export interface QueueClock extends Clock {
  /** Calls back once when `time` (ms since epoch) has come; returns how to call that off. */
  at(time: number, callback: () => void): () => void
}

/** ms after which the wall clock is looked at again: it jumps when a laptop wakes or the time is set. */
const look = 30_000

export const systemClock: QueueClock = {
  now: () => Date.now(),
  at(time, callback) {
    let timer: NodeJS.Timeout
    const arm = () => {
      const left = time - Date.now()
      timer = left <= 0 ? setTimeout(callback, 0) : setTimeout(arm, Math.min(left, look))
      // What is due later is in the database: it keeps no process alive.
      timer.unref()
    }
    arm()
    return () => clearTimeout(timer)
  }
}
