import { RegistryError } from '../errors.ts'
import type { Exchange } from './exchange.ts'
import type { Slots } from './slots.ts'

/** Turns to do something of which only so much goes on at once. */
export interface Turns {
  slots: Slots
  /** ms that a request waits for its turn. */
  waitMs: number
  /** What whoever waited in vain is told. */
  busy: string
}

/**
 * Does something when few others are doing it.
 *
 * @throws {RegistryError} TOOMANYREQUESTS
 */
export async function inTurn<T>(
  { slots, waitMs, busy }: Turns,
  exchange: Exchange,
  work: () => Promise<T>
): Promise<T> {
  if (!(await slots.take(waitMs, exchange.abortable))) {
    throw new RegistryError('TOOMANYREQUESTS', { message: busy, headers: { 'Retry-After': '5' } })
  }
  try {
    return await work()
  } finally {
    slots.release()
  }
}
