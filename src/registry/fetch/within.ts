/** What {@link within} resolves with when time is up. */
export const late: unique symbol = Symbol('late')

/** Waits for `work` at most `ms`, without ending it. Rejects with the signal's reason as soon as it is aborted. */
export function within<T>(work: Promise<T>, ms: number, signal?: AbortSignal): Promise<T | typeof late> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      work.catch(() => undefined)
      return reject(signal.reason)
    }
    const timer = setTimeout(() => settle(() => resolve(late)), Math.max(0, ms))
    const onAbort = () => settle(() => reject(signal?.reason))
    const settle = (how: () => void) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      how()
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    work.then(
      value => settle(() => resolve(value)),
      error => settle(() => reject(error))
    )
  })
}
