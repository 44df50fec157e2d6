/** A hash worker that dies at the first slot that starts with {@link poison}, as one would that ran out of memory. */
import { parentPort, workerData } from 'node:worker_threads'
import { poison } from './poison.ts'

parentPort?.on('message', (request: { type: string; slot: number }) => {
  if (request.type !== 'update') return
  if (Buffer.from(workerData.ring, request.slot << 20, poison.length).equals(poison)) throw new Error('poisoned')
})

// Listens second.
await import('../../src/storage/hash-worker.ts')
