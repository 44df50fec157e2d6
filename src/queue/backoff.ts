import { type WorkerInit, WorkFailure } from '../registry/ports.ts'

const second = 1000
const hour = 60 * 60 * second
/** Longest `Retry-After` that is believed, ms. */
const longestRetryAfter = 24 * hour

export type Backoff = Pick<WorkerInit, 'backoffMs' | 'maxBackoffMs'>

/**
 * ms until the next attempt: doubled each time up to the cap, the later half of it at random, so that what failed together
 * does not come back together.
 *
 * @param attempts - made so far, at least 1
 * @param random - in [0, 1)
 */
export function backoff(
  attempts: number,
  { backoffMs = second, maxBackoffMs = hour }: Backoff,
  random: number
): number {
  const whole = Math.min(maxBackoffMs, backoffMs * 2 ** Math.min(attempts - 1, 64))
  return Math.ceil(whole / 2 + (whole / 2) * random)
}

/**
 * ms that the other side asked to be left alone (RFC 9110, 10.2.3), and up to a tenth more: never less, and instead of the
 * back-off. `undefined` when it asked for nothing that can be understood.
 */
export function retryAfter(failure: unknown, now: number, random: number): number | undefined {
  if (!(failure instanceof WorkFailure) || failure.retryAfter === undefined) return undefined
  const asked = typeof failure.retryAfter === 'number' ? failure.retryAfter : parseRetryAfter(failure.retryAfter, now)
  if (asked === undefined || Number.isNaN(asked)) return undefined
  const delay = Math.min(Math.max(0, asked), longestRetryAfter)
  return Math.ceil(delay + Math.min(delay / 10, 30 * second) * random)
}

function parseRetryAfter(value: string, now: number): number | undefined {
  const text = value.trim()
  if (/^\d+$/.test(text)) return Number(text) * second
  // A number that is not one of seconds would pass for a year.
  const date = /[a-z]/i.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(date) ? undefined : date - now
}
