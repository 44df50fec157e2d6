import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseContentRange, parseRanges } from '../../src/oci/range.ts'

describe('parseRanges', () => {
  test.each([
    [undefined, 10, 'whole'],
    ['bytes=0-0', 10, [{ start: 0, end: 1 }]],
    ['bytes=0-9', 10, [{ start: 0, end: 10 }]],
    ['bytes=0-99', 10, [{ start: 0, end: 10 }]],
    ['bytes=5-', 10, [{ start: 5, end: 10 }]],
    ['bytes=-3', 10, [{ start: 7, end: 10 }]],
    ['bytes=-99', 10, [{ start: 0, end: 10 }]],
    ['bytes=-0', 10, 'unsatisfiable'],
    ['bytes=10-', 10, 'unsatisfiable'],
    ['bytes=10-20', 10, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ['bytes=5-4', 10, 'unsatisfiable'],
    [
      'bytes=0-1,4-5',
      10,
      [
        { start: 0, end: 2 },
        { start: 4, end: 6 }
      ]
    ],
    [
      'bytes=4-5 ,\t0-1,, -1',
      10,
      [
        { start: 4, end: 6 },
        { start: 0, end: 2 },
        { start: 9, end: 10 }
      ]
    ],
    [
      'bytes=0-4,5-9',
      10,
      [
        { start: 0, end: 5 },
        { start: 5, end: 10 }
      ]
    ],
    [
      'bytes=0-1,10-,-0,4-5',
      10,
      [
        { start: 0, end: 2 },
        { start: 4, end: 6 }
      ]
    ],
    ['bytes=10-,4-5', 10, [{ start: 4, end: 6 }]],
    ['bytes=10-,20-30,-0', 10, 'unsatisfiable'],
    ['bytes=0-1,5-4', 10, 'unsatisfiable'],
    ['bytes=0-1,1-2', 10, 'whole'],
    ['bytes=8-,-3', 10, 'whole'],
    ['bytes=0-9,0-9', 10, 'whole'],
    ['bytes=0-1,a-b', 10, 'whole'],
    ['bytes=0-1,bytes=4-5', 10, 'whole'],
    ['bytes=0-1;4-5', 10, 'whole'],
    ['bytes=,', 10, 'whole'],
    ['bytes=-', 10, 'whole'],
    ['bytes=a-b', 10, 'whole'],
    ['items=0-1', 10, 'whole'],
    ['bytes=0-18446744073709551615', 10, [{ start: 0, end: 10 }]],
    ['BYTES=1-2', 10, [{ start: 1, end: 3 }]]
  ] as const)('%j of %d bytes', (header, size, expected) => expect(parseRanges(header, size)).toEqual(expected))

  test('at most 1,024 ranges', () => {
    const header = (count: number) => `bytes=${Array.from({ length: count }, (_, at) => `${at * 2}-${at * 2}`).join()}`
    expect(parseRanges(header(1024), 5000)).toHaveLength(1024)
    expect(parseRanges(header(1025), 5000)).toBe('whole')
    expect(parseRanges(`bytes=0-0${',9999-'.repeat(1024)}`, 5000)).toBe('whole')
  })

  test('a span is never empty, never outside', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'0123456789-=, bytes'), maxLength: 20 }),
        fc.nat(1000),
        (tail, size) => {
          const spans = parseRanges(`bytes=${tail}`, size)
          if (typeof spans === 'string') return
          for (const [at, span] of spans.entries()) {
            expect(span.start).toBeGreaterThanOrEqual(0)
            expect(span.end).toBeGreaterThan(span.start)
            expect(span.end).toBeLessThanOrEqual(size)
            for (const other of spans.slice(0, at))
              expect(other.end <= span.start || span.end <= other.start).toBe(true)
          }
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
