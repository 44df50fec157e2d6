import { RegistryError } from '../errors.ts'
import type { Exchange } from './exchange.ts'
import type { Slots } from './slots.ts'

/** Lists that are read at once; each keeps a thread of the file system's pool busy, which blobs are read by too. */
export const listsAtOnce = 8
/** ms that a list waits for its turn; clients give up at 30 s. */
const waitMs = 15_000

/**
 * Reads a list when few others are being read.
 *
 * @throws {RegistryError} TOOMANYREQUESTS
 */
export async function inTurn<T>(slots: Slots, exchange: Exchange, read: () => Promise<T>): Promise<T> {
  if (!(await slots.take(waitMs, exchange.abortable))) {
    throw new RegistryError('TOOMANYREQUESTS', {
      message: 'too many lists are being read already: try again in 5 s',
      headers: { 'Retry-After': '5' }
    })
  }
  try {
    return await read()
  } finally {
    slots.release()
  }
}
