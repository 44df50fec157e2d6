import type { IncomingMessage } from 'node:http'

/** ms without a byte, and in all, that the rest of a refused body is still read. */
const idleMs = 2_000
const totalMs = 10_000
/** Bytes of it. */
const maxBytes = 64 * 1024 * 1024

/**
 * Reads away what a client still sends after it was answered, so that it gets to read the answer. Bounded in bytes and
 * time; `done` is called once, with whether the body ended.
 */
export function drainRequest(request: IncomingMessage, done: (whole: boolean) => void): void {
  if (request.readableEnded || request.destroyed) {
    done(request.readableEnded)
    return
  }
  let bytes = 0
  const finish = (whole: boolean) => () => {
    clearTimeout(idle)
    clearTimeout(total)
    request.off('data', count).off('end', ended).off('close', cut)
    done(whole)
  }
  const ended = finish(true)
  const cut = finish(false)
  const idle = setTimeout(cut, idleMs)
  const total = setTimeout(cut, totalMs)
  const count = (chunk: Uint8Array) => {
    bytes += chunk.byteLength
    if (bytes > maxBytes) cut()
    else idle.refresh()
  }
  request.on('data', count).on('end', ended).on('close', cut)
  request.resume()
}
