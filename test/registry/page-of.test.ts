import { expect, it } from 'vitest'
import { maxLookedBytes, maxLooks, pageOf } from '../../src/registry/page-of.ts'

/** Numbers from 1, and how many of them were asked for. */
function numbers(count: number, after = 0) {
  const seen = { count: 0 }
  async function* items() {
    for (let at = after + 1; at <= count; at++) {
      seen.count++
      yield at
    }
  }
  return { seen, items: items() }
}

const how = { key: String, value: (item: number) => item }

it('says that something follows only when something does', async () => {
  expect(await pageOf(numbers(3).items, { limit: 3 }, how)).toEqual({ items: [1, 2, 3] })
  expect(await pageOf(numbers(4).items, { limit: 3 }, how)).toEqual({ items: [1, 2, 3], next: '3' })
  expect(await pageOf(numbers(4).items, { limit: 0 }, how)).toEqual({ items: [] })
  const all = Array.from({ length: 2 * maxLooks }, (_, at) => at + 1)
  expect((await pageOf(numbers(2 * maxLooks).items, { limit: 2 * maxLooks }, how)).items).toEqual(all)
  const odd = { ...how, wanted: (item: number) => item % 2 === 1 }
  expect(await pageOf(numbers(6).items, { limit: 3 }, odd)).toEqual({ items: [1, 3, 5] })
  expect(await pageOf(numbers(7).items, { limit: 3 }, odd)).toEqual({ items: [1, 3, 5], next: '5' })
})

it('looks at a bounded number of items, whatever is wanted of them, and goes on behind', async () => {
  const total = 3 * maxLooks
  const rare = { ...how, wanted: (item: number) => item === 7 || item === total }
  const found: number[] = []
  let after = 0
  for (let pages = 1; ; pages++) {
    const { items, seen } = numbers(total, after)
    const page = await pageOf(items, { limit: 10 }, rare)
    expect(seen.count).toBeLessThanOrEqual(maxLooks + 1)
    found.push(...page.items)
    if (page.next === undefined) break
    expect(Number(page.next)).toBeGreaterThan(after)
    expect(pages).toBeLessThan(5)
    after = Number(page.next)
  }
  expect(found).toEqual([7, total])
})

it('looks at a bounded number of bytes', async () => {
  const large = { ...how, size: () => maxLookedBytes / 4, wanted: () => false }
  const { items, seen } = numbers(100)
  expect(await pageOf(items, { limit: 10 }, large)).toEqual({ items: [], next: '4' })
  expect(seen.count).toBe(5)
})

it('holds no more bytes than a page may have, and gives what is larger alone', async () => {
  const sized = { ...how, size: (item: number) => item * 10 }
  const { items, seen } = numbers(100)
  expect(await pageOf(items, { limit: 1000, maxBytes: 60 }, sized)).toEqual({ items: [1, 2, 3], next: '3' })
  expect(seen.count).toBe(4)
  expect(await pageOf(numbers(9, 7).items, { limit: 1000, maxBytes: 60 }, sized)).toEqual({ items: [8], next: '8' })
})
