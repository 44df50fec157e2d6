import type { Stream } from '@libp2p/interface'

/** Bytes that may wait in a stream before more is written to it. */
const enough = 256 * 1024

/**
 * Waits until a stream has passed on nearly all that was written to it. Not `stream.onDrain()`, which waits once in a
 * stream's life and from then on returns at once (@libp2p/utils 8), so that everything a slow peer wants would be queued.
 *
 * @throws when the stream closes or the signal aborts before
 */
export async function drained(stream: Stream, signal: AbortSignal): Promise<void> {
  if (stream.writeBufferLength <= enough) return
  const waiting = Promise.withResolvers<void>()
  const check = (): void => {
    if (stream.writeBufferLength <= enough) waiting.resolve()
  }
  // The stream's own listener for `drain` writes what the window now allows one microtask later.
  const recheck = (): void => queueMicrotask(check)
  const closed = (): void => waiting.reject(new Error('the stream was closed before everything was sent'))
  const aborted = (): void => waiting.reject(signal.reason)
  stream.addEventListener('drain', recheck)
  stream.addEventListener('idle', check)
  stream.addEventListener('close', closed)
  signal.addEventListener('abort', aborted)
  try {
    if (signal.aborted) aborted()
    else if (stream.writeStatus !== 'writable') closed()
    await waiting.promise
  } finally {
    stream.removeEventListener('drain', recheck)
    stream.removeEventListener('idle', check)
    stream.removeEventListener('close', closed)
    signal.removeEventListener('abort', aborted)
  }
}
