import { expect, test } from 'vitest'
import { Closers } from '../../src/node/closers.ts'

test('closes in reverse, once, everything even after a failure, and tells the first failure', async () => {
  const closers = new Closers()
  const closed: string[] = []
  for (const name of ['a', 'b', 'c']) {
    const started = closers.add(name, async it => {
      closed.push(it)
      if (it !== 'a') throw new Error(it)
    })
    expect(started).toBe(name)
  }
  await expect(closers.close()).rejects.toThrow('c')
  await expect(closers.close()).rejects.toThrow('c')
  expect(closed).toEqual(['c', 'b', 'a'])
})
