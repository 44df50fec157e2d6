import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { ErrorLine } from './control-protocol.ts'
import { entriesOf, reasonOf } from './reply-error.ts'

/** Writes one JSON value a line. */
export interface LineWriter {
  /** Waits until the reader has room. */
  write(line: object): Promise<void>
  /** Does not wait. */
  tell(line: object): void
  /** Drops the line when the reader has no room or one was offered less than 100 ms ago: for progress. */
  offer(line: object): void
}

/** ms between offered lines. */
const offerMs = 100

/** Answers with NDJSON while the work goes on; its failure is the last line. Hanging up aborts the signal. */
export async function streamLines(
  reply: FastifyReply,
  work: (lines: LineWriter, signal: AbortSignal) => Promise<void>
): Promise<void> {
  reply.hijack()
  const response = reply.raw
  const aborter = new AbortController()
  response.once('close', () => aborter.abort())
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
  // Work may go on for long before there is a line to write, and no client waits that long for an answer to begin.
  response.flushHeaders()
  const lines = createWriter(response, aborter.signal)
  try {
    await work(lines, aborter.signal)
  } catch (error) {
    const line: ErrorLine = { error: { reason: reasonOf(error), errors: entriesOf(error) } }
    if (!aborter.signal.aborted) response.write(`${JSON.stringify(line)}\n`)
  }
  response.end()
}

function createWriter(response: ServerResponse, signal: AbortSignal): LineWriter {
  let offered = Number.NEGATIVE_INFINITY
  return {
    async write(line) {
      signal.throwIfAborted()
      if (!response.write(`${JSON.stringify(line)}\n`)) await once(response, 'drain', { signal })
    },
    tell(line) {
      if (!signal.aborted) response.write(`${JSON.stringify(line)}\n`)
    },
    offer(line) {
      const now = performance.now()
      if (response.writableNeedDrain || now - offered < offerMs) return
      offered = now
      response.write(`${JSON.stringify(line)}\n`)
    }
  }
}
