import { describe, expect, it } from 'vitest'
import { ifRangeHolds, noneMatchNames, parseIfMatch } from '../../src/http/etag.ts'
import type { Digest } from '../../src/oci/digest.ts'

const a: Digest = `sha256:${'a'.repeat(64)}`
const b: Digest = `sha256:${'b'.repeat(64)}`

describe('If-None-Match', () => {
  it.each([
    [undefined, false],
    [`"${a}"`, true],
    [`W/"${a}"`, true],
    [a, true],
    ['*', true],
    [' * ', true],
    [`"${b}"`, false],
    [`"x", W/"y" , "${a}"`, true],
    [`"x","${a}`, false],
    ['', false],
    ['"', false],
    [`"${a.toUpperCase()}"`, false]
  ])('%s', (header, names) => {
    expect(noneMatchNames(header, a)).toBe(names)
  })
})

describe('If-Match', () => {
  it.each([
    [undefined, undefined],
    ['*', ['*']],
    [`"${a}"`, [a]],
    [`"${a}", "${b}"`, [a, b]],
    [`W/"${a}"`, []],
    ['"something else"', []],
    ['', []]
  ])('%s', (header, digests) => {
    expect(parseIfMatch(header)).toEqual(digests)
  })
})

describe('If-Range', () => {
  it.each([
    [undefined, true],
    [`"${a}"`, true],
    [`W/"${a}"`, false],
    [`"${b}"`, false],
    ['Wed, 21 Oct 2015 07:28:00 GMT', false]
  ])('%s', (header, holds) => {
    expect(ifRangeHolds(header, a)).toBe(holds)
  })
})
