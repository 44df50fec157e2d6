import { describe, expect, it } from 'vitest'
import { KeyedLock, LockTimeout } from '../../src/registry/keyed-lock.ts'

/** Takes the lock until it is told to let go, and keeps the order in which that went. */
function holder(lock: KeyedLock, order: string[]) {
  return (name: string, options?: Parameters<KeyedLock['run']>[2]) => {
    const { promise, resolve: letGo } = Promise.withResolvers<void>()
    const work = async () => {
      order.push(`${name} in`)
      await promise
      order.push(`${name} out`)
    }
    return { ended: lock.run('key', work, options), letGo }
  }
}

describe('a keyed lock', () => {
  it.each([
    ['timed out', (_: AbortController) => ({ timeoutMs: 0 }), LockTimeout],
    ['hung up', (leaving: AbortController) => ({ signal: leaving.signal }), Error]
  ])('keeps the next one out although one who waited %s', async (_, options, error) => {
    const lock = new KeyedLock()
    const order: string[] = []
    const hold = holder(lock, order)
    const leaving = new AbortController()
    const first = hold('first')
    const second = hold('second', options(leaving))
    leaving.abort(new Error('hung up'))
    await expect(second.ended).rejects.toThrow(error)
    expect(lock.isTaken('key')).toBe(true)
    const third = hold('third')
    third.letGo()
    first.letGo()
    await Promise.all([first.ended, third.ended])
    expect(order).toEqual(['first in', 'first out', 'third in', 'third out'])
    expect(lock.isTaken('key')).toBe(false)
  })

  it('is free again when the only one who waited gave up and the holder is done', async () => {
    const lock = new KeyedLock()
    const hold = holder(lock, [])
    const first = hold('first')
    await expect(hold('second', { timeoutMs: 0 }).ended).rejects.toThrow(LockTimeout)
    first.letGo()
    await first.ended
    await expect.poll(() => lock.isTaken('key')).toBe(false)
  })
})
