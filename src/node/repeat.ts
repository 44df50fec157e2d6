/** Longest delay of a Node timer, ms; a longer interval is waited in parts. */
const longest = 2 ** 31 - 1

/**
 * Runs a task again and again, `interval` ms after the last run ended, the first after one interval. The function returned
 * stops it: a run under way is aborted and awaited.
 */
export function repeat(interval: number, task: (signal: AbortSignal) => Promise<void>): () => Promise<void> {
  const stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  const schedule = (left: number) => {
    if (stopping.signal.aborted) return
    const delay = Math.min(left, longest)
    timer = setTimeout(() => (left > delay ? schedule(left - delay) : run()), delay)
    timer.unref()
  }
  const run = () => {
    running = task(stopping.signal).finally(() => schedule(interval))
  }
  schedule(interval)
  return async () => {
    stopping.abort()
    clearTimeout(timer)
    await running
  }
}
