import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isNestedDeeper } from '../../src/oci/nesting.ts'

const deeper = (text: string, limit: number) => isNestedDeeper(Buffer.from(text), limit)

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

describe('isNestedDeeper', () => {
  it.each([
    ['1', 0, false],
    ['{}', 0, true],
    ['{}', 1, false],
    ['[[],[],[[]]]', 2, true],
    ['[[],[],[[]]]', 3, false],
    ['{"a":"[[[[{{{{","b":"\\"[[["}', 1, false],
    ['{"\\\\":[]}', 1, true],
    ['"[[[', 0, false]
  ])('%s against %i is %s', (text, limit, expected) => {
    expect(deeper(text, limit)).toBe(expected)
  })

  it('counts as a reader of the document does', () => {
    fc.assert(
      fc.property(fc.json(), text => {
        const depth = depthOf(JSON.parse(text))
        expect(deeper(text, depth)).toBe(false)
        if (depth > 0) expect(deeper(text, depth - 1)).toBe(true)
      })
    )
  })

  it('of millions of brackets', () => {
    expect(deeper('['.repeat(4_000_000), 1_000)).toBe(true)
    expect(deeper('[]'.repeat(2_000_000), 1_000)).toBe(false)
  })
})
