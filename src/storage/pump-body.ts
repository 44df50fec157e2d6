import { finished, Readable } from 'node:stream'

/** Takes a chunk; the promise, when there is one, asks to wait before the next. */
export type TakeChunk = (chunk: Uint8Array) => Promise<void> | undefined

/**
 * Gives every chunk of a body to `take`, in order, and resolves at its end. When it stops early, a Node stream is left
 * paused and whole, so that an answer can still be sent over its connection; any other iterable is told to return.
 */
export async function pumpBody(body: AsyncIterable<Uint8Array>, take: TakeChunk, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await (body instanceof Readable ? pumpStream(body, take, signal) : pumpIterable(body, take, signal))
}

/** By events: a promise a chunk would be the dearest part of an upload on this thread. */
function pumpStream(stream: Readable, take: TakeChunk, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let taking: Promise<void> | undefined
    const stop = (): void => {
      stream.off('data', onData)
      signal.removeEventListener('abort', onAbort)
    }
    const fail = (error: unknown): void => {
      stop()
      stream.pause()
      reject(error)
    }
    const onAbort = (): void => fail(signal.reason)
    const onData = (chunk: Uint8Array): void => {
      taking = take(chunk)
      if (taking === undefined) return
      stream.pause()
      taking.then(() => {
        taking = undefined
        if (!signal.aborted) stream.resume()
      }, fail)
    }
    const onEnd = (error: Error | null | undefined): void => {
      stop()
      if (error == null) resolve()
      else reject(error)
    }
    // Its listeners stay: an error of the stream after an abort must not end the process.
    finished(stream, { writable: false }, error => {
      if (taking === undefined) onEnd(error)
      else taking.then(() => onEnd(error), fail)
    })
    signal.addEventListener('abort', onAbort, { once: true })
    stream.on('data', onData)
    stream.resume()
  })
}

async function pumpIterable(body: AsyncIterable<Uint8Array>, take: TakeChunk, signal: AbortSignal): Promise<void> {
  const iterator = body[Symbol.asyncIterator]()
  let interrupt: ((reason: unknown) => void) | undefined
  const onAbort = (): void => interrupt?.(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  let ended = false
  try {
    for (;;) {
      const result = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
        interrupt = reject
        iterator.next().then(resolve, reject)
      })
      if (result.done === true) {
        ended = true
        return
      }
      const wait = take(result.value)
      if (wait !== undefined) await wait
      signal.throwIfAborted()
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Not awaited: a body that hangs would keep the abort from being prompt.
    if (!ended) iterator.return?.().catch(() => {})
  }
}
