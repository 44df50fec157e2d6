import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DigestAlgorithm } from '../../src/oci/digest.ts'
import { RunningHash } from '../../src/storage/running-hash.ts'
import { contentOf, pattern } from '../contract/upload-staging.ts'

const MiB = 1 << 20
const lengths = fc.oneof(fc.integer({ min: 0, max: 2 * MiB }), fc.constantFrom(1, MiB - 1, MiB, MiB + 1, 2 * MiB))

describe('RunningHash', () => {
  it('gives what node:crypto gives, however the bytes are cut and however often it is asked', () => {
    fc.assert(
      fc.property(
        fc.array(lengths, { maxLength: 8 }),
        fc.constantFrom<DigestAlgorithm>('sha256', 'sha512'),
        fc.boolean(),
        (cuts, algorithm, ask) => {
          const hash = new RunningHash(algorithm)
          let size = 0
          for (const length of cuts) {
            hash.update(pattern.subarray(size, size + length))
            size = Math.min(pattern.length, size + length)
            if (ask) expect(hash.content()).toEqual(contentOf(pattern.subarray(0, size), algorithm))
          }
          expect(hash.content()).toEqual(contentOf(pattern.subarray(0, size), algorithm))
        }
      ),
      { numRuns: 100 }
    )
  })

  it('goes back to where it was marked, as often as it is asked, and on with other bytes', () => {
    const moves = fc.array(
      fc.record({ length: lengths, next: fc.constantFrom('mark', 'rewind', 'rewind', 'nothing'), other: fc.nat(1000) }),
      { maxLength: 8 }
    )
    fc.assert(
      fc.property(moves, fc.constantFrom<DigestAlgorithm>('sha256', 'sha512'), (run, algorithm) => {
        const hash = new RunningHash(algorithm)
        let bytes: Uint8Array = Buffer.of()
        let marked: Uint8Array = bytes
        for (const { length, next, other } of run) {
          const part = pattern.subarray(other, other + length)
          hash.update(part)
          bytes = Buffer.concat([bytes, part])
          if (next === 'mark') {
            hash.mark()
            marked = bytes
          } else if (next === 'rewind') {
            hash.rewind()
            bytes = marked
          }
          expect(hash.size).toBe(bytes.length)
        }
        expect(hash.content()).toEqual(contentOf(bytes, algorithm))
      }),
      { numRuns: 100 }
    )
  })

  it('keeps as many leaves as there are', () => {
    const hash = new RunningHash('sha256')
    const leaf = Buffer.alloc(MiB, 3)
    for (let index = 0; index < 100; index++) hash.update(leaf)
    hash.update(Buffer.from('tail'))
    const { leaves, size } = hash.content()
    expect(size).toBe(100 * MiB + 4)
    expect(leaves).toEqual(
      contentOf(Buffer.concat([...Array.from({ length: 100 }, () => leaf), Buffer.from('tail')])).leaves
    )
  })
})
