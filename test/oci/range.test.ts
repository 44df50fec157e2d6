import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseContentRange, parseRange } from '../../src/oci/range.ts'

describe('parseRange', () => {
  test.each([
    [undefined, 10, 'whole'],
    ['bytes=0-0', 10, { start: 0, end: 1 }],
    ['bytes=0-9', 10, { start: 0, end: 10 }],
    ['bytes=0-99', 10, { start: 0, end: 10 }],
    ['bytes=5-', 10, { start: 5, end: 10 }],
    ['bytes=-3', 10, { start: 7, end: 10 }],
    ['bytes=-99', 10, { start: 0, end: 10 }],
    ['bytes=-0', 10, 'unsatisfiable'],
    ['bytes=10-', 10, 'unsatisfiable'],
    ['bytes=10-20', 10, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ['bytes=5-4', 10, 'unsatisfiable'],
    ['bytes=0-1,4-5', 10, 'whole'],
    ['bytes=-', 10, 'whole'],
    ['bytes=a-b', 10, 'whole'],
    ['items=0-1', 10, 'whole'],
    ['bytes=0-18446744073709551615', 10, { start: 0, end: 10 }],
    ['BYTES=1-2', 10, { start: 1, end: 3 }]
  ] as const)('%j of %d bytes', (header, size, expected) => expect(parseRange(header, size)).toEqual(expected))

  test('a span is never empty, never outside', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'0123456789-=, bytes'), maxLength: 20 }),
        fc.nat(1000),
        (tail, size) => {
          const span = parseRange(`bytes=${tail}`, size)
          if (typeof span === 'string') return
          expect(span.start).toBeGreaterThanOrEqual(0)
          expect(span.end).toBeGreaterThan(span.start)
          expect(span.end).toBeLessThanOrEqual(size)
        }
      )
    )
  })
})

describe('parseContentRange', () => {
  test('what the specification asks for', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (start, more) => {
        expect(parseContentRange(`${start}-${start + more}`)).toEqual({ start, end: start + more + 1 })
        expect(parseContentRange(`bytes ${start}-${start + more}/*`)).toEqual({ start, end: start + more + 1 })
      })
    )
  })
  test.each(['', '-', '0', '0-', '-0', '1-0', 'a-b', '0-1,2-3', '99999999999999999-99999999999999999', '0-1/x'])(
    '%j is malformed',
    header => expect(parseContentRange(header)).toBeUndefined()
  )
})
