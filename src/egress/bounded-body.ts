import type { IncomingMessage } from 'node:http'
import { pipeline, Transform, type TransformCallback } from 'node:stream'
import { EgressError } from './error.ts'

export interface BodyBounds {
  /** Bytes. */
  maxBytes: number
  /** ms without a byte. */
  idleMs: number
  /** Who answered, for messages. */
  host: string
}

/** The body of an answer, cut with an error where it is longer or slower than allowed. Short of what was promised is Node's error. */
export function boundedBody(message: IncomingMessage, bounds: BodyBounds): Transform {
  const { maxBytes, idleMs, host } = bounds
  let size = 0
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      size += chunk.length
      if (size <= maxBytes) done(null, chunk)
      else done(new EgressError('TOO_LARGE', `${host} sends more than the ${maxBytes} bytes that are read of it`))
    }
  })
  message.setTimeout(idleMs, () => {
    // A reader that takes its time is not the sender's fault.
    if (count.readableLength >= count.readableHighWaterMark) return
    count.destroy(new EgressError('TIMEOUT', `${host} sent nothing for ${idleMs} ms`))
  })
  pipeline(message, count, () => undefined)
  return count
}
