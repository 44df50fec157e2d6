/**
 * Durable work behind requests: what later issues pin, replicate and announce. Nothing registers by default.
 *
 * @module
 */
import { LevelWorkQueue, type QueueComponents, type QueueInit } from './queue.ts'

/** A queue that has recovered from whatever happened before. */
export async function openQueue(components: QueueComponents, init: QueueInit = {}): Promise<LevelWorkQueue> {
  const queue = new LevelWorkQueue(components, init)
  await queue.recover()
  return queue
}
