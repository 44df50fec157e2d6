import type { Turns } from './in-turn.ts'
import { Slots } from './slots.ts'

/** Lists that are read at once; each keeps a thread of the file system's pool busy, which blobs are read by too. */
export const listsAtOnce = 8
/** ms; clients give up at 30 s. */
const waitMs = 15_000

/** Turns to read a list that may be long. */
export function createListTurns(): Turns {
  const busy = 'too many lists are being read already: try again in 5 s'
  return { slots: new Slots(listsAtOnce), waitMs, busy }
}
