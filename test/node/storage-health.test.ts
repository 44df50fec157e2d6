import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { watchStorage } from '../../src/node/storage-health.ts'
import type { BlobFiles, Log } from '../../src/registry/ports.ts'

const log: Log = { debug() {}, info() {}, warn() {}, error() {} }
const probe = vi.fn(async () => {})
const files: Pick<BlobFiles, 'probe'> = { probe }

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('not ready after so many failures in a row, ready after one success; says no path', async () => {
  const health = watchStorage(files, log, { interval: 100, threshold: 3 })
  probe.mockRejectedValue(Object.assign(new Error('/secret/path is full'), { code: 'ENOSPC' }))
  await vi.advanceTimersByTimeAsync(250)
  expect(health.failures()).toEqual({})
  await vi.advanceTimersByTimeAsync(100)
  expect(health.failures()).toEqual({ storagedriver: 'data folder: ENOSPC' })
  probe.mockResolvedValue(undefined)
  await vi.advanceTimersByTimeAsync(100)
  expect(health.failures()).toEqual({})
  await health.close()
})

test('a threshold of 0 is read as 1', async () => {
  probe.mockRejectedValue(new Error('no'))
  const health = watchStorage(files, log, { interval: 100, threshold: 0 })
  await vi.advanceTimersByTimeAsync(100)
  expect(health.failures()).toEqual({ storagedriver: 'data folder: check failed' })
  await health.close()
})
