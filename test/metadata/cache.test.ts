import { expect, it } from 'vitest'
import { RecordCache } from '../../src/metadata/cache.ts'

const value = (name: string): object => ({ name })

it('drops the least recently used first, and only when over its bytes', () => {
  const cache = new RecordCache(10_000)
  for (const key of ['a', 'b', 'c', 'd']) cache.set(key, value(key), 2000)
  cache.get('a')
  cache.set('e', value('e'), 2000)
  expect(cache.get('b')).toBeUndefined()
  for (const key of ['a', 'c', 'd', 'e']) expect(cache.get(key)).toEqual(value(key))
})

it('counts a replaced value once', () => {
  const cache = new RecordCache(10_000)
  cache.set('kept', value('kept'), 2000)
  for (let round = 0; round < 100; round++) cache.set('a', value(String(round)), 2000)
  expect(cache.get('kept')).toEqual(value('kept'))
  expect(cache.get('a')).toEqual(value('99'))
})

it('gives back the room of what is dropped', () => {
  const cache = new RecordCache(10_000)
  cache.set('kept', value('kept'), 2000)
  for (let round = 0; round < 100; round++) {
    cache.set('a', value('a'), 2000)
    cache.drop('a')
  }
  expect(cache.get('a')).toBeUndefined()
  expect(cache.get('kept')).toEqual(value('kept'))
})

it('takes no value that would push out most of the others, and then keeps no older one either', () => {
  const cache = new RecordCache(10_000)
  cache.set('a', value('small'), 100)
  cache.set('a', value('large'), 9000)
  expect(cache.get('a')).toBeUndefined()
})

it('keeps nothing without a budget', () => {
  const cache = new RecordCache(0)
  cache.set('a', value('a'), 1)
  expect(cache.get('a')).toBeUndefined()
})
