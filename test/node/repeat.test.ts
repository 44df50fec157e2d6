import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { repeat } from '../../src/node/repeat.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('runs an interval after the last run ended, never two at once', async () => {
  let finish = () => {}
  const task = vi.fn(
    () =>
      new Promise<void>(resolve => {
        finish = resolve
      })
  )
  const stop = repeat(1_000, task)
  await vi.advanceTimersByTimeAsync(999)
  expect(task).toHaveBeenCalledTimes(0)
  await vi.advanceTimersByTimeAsync(1)
  expect(task).toHaveBeenCalledTimes(1)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(task).toHaveBeenCalledTimes(1)
  finish()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(task).toHaveBeenCalledTimes(2)
  finish()
  await stop()
})

test('an interval longer than a Node timer is waited for', async () => {
  const task = vi.fn(async () => {})
  const month = 31 * 24 * 3_600_000
  const stop = repeat(month, task)
  await vi.advanceTimersByTimeAsync(month - 1)
  expect(task).toHaveBeenCalledTimes(0)
  await vi.advanceTimersByTimeAsync(1)
  expect(task).toHaveBeenCalledTimes(1)
  await stop()
})

test('stopping aborts the run under way, waits for it, and starts no other', async () => {
  let ended = false
  const stop = repeat(10, async signal => {
    await new Promise(resolve => signal.addEventListener('abort', resolve))
    ended = true
  })
  await vi.advanceTimersByTimeAsync(10)
  await stop()
  expect(ended).toBe(true)
  expect(vi.getTimerCount()).toBe(0)
})
