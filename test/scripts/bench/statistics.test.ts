import { describe, expect, it } from 'vitest'
import { quantile, ratios, slope, summarize } from '../../../scripts/bench/statistics.ts'

describe('a summary', () => {
  it('is of the sorted sample, numbers sorted as numbers', () => {
    expect(summarize([100, 9, 20])).toEqual({ median: 20, min: 9, max: 100, q1: 14.5, q3: 60, n: 3 })
  })
  it('lies between neighbours where there is no middle', () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5)
    expect(quantile([7], 0.25)).toBe(7)
  })
  it('leaves the sample as it was', () => {
    const values = [3, 1, 2]
    quantile(values, 0.5)
    expect(values).toEqual([3, 1, 2])
  })
})

describe('ratios', () => {
  it('are above 1 where we are better, whichever way the quantity goes', () => {
    expect(ratios([200], [100], 'more')).toEqual([2])
    expect(ratios([5], [10], 'less')).toEqual([2])
  })
  it('pair the same round, and leave out one that either failed', () => {
    expect(ratios([1, undefined, 9, 8], [2, 4, undefined, 4], 'more')).toEqual([0.5, 2])
  })
})

describe('a slope', () => {
  it('is the growth of y by one x', () => {
    const line = [0, 1, 2, 3].map(x => ({ x, y: 100 + 2.5 * x }))
    expect(slope(line)).toBeCloseTo(2.5)
    expect(slope([...line, { x: 1.5, y: 50 }, { x: 1.5, y: 157.5 }])).toBeCloseTo(2.5)
  })
  it('is none of a single point', () => {
    expect(slope([{ x: 1, y: 1 }])).toBe(0)
  })
})
