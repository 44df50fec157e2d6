import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RegistryError } from '../../src/errors.ts'
import { algorithmOf, digestOf, encodedOf, isDigestShaped, parseDigest, tryParseDigest } from '../../src/oci/digest.ts'

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length })

describe('parseDigest', () => {
  test('takes every well-formed sha256 and sha512 and takes it apart again', () => {
    const digests = fc.oneof(
      hex(64).map(encoded => ({ algorithm: 'sha256', encoded })),
      hex(128).map(encoded => ({ algorithm: 'sha512', encoded }))
    )
    fc.assert(
      fc.property(digests, ({ algorithm, encoded }) => {
        const digest = parseDigest(`${algorithm}:${encoded}`)
        expect(algorithmOf(digest)).toBe(algorithm)
        expect(encodedOf(digest)).toBe(encoded)
      })
    )
  })

  test('agrees with tryParseDigest on any string and throws nothing but DIGEST_INVALID', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), value => {
        const parsed = tryParseDigest(value)
        if (parsed !== undefined) {
          expect(parseDigest(value)).toBe(value)
          return
        }
        try {
          parseDigest(value)
          expect.unreachable()
        } catch (error) {
          expect(error).toBeInstanceOf(RegistryError)
          expect(error).toMatchObject({ reason: 'DIGEST_INVALID', status: 400 })
        }
      })
    )
  })

  test.each([
    ['', /<algorithm>:<encoded>/],
    ['sha256', /<algorithm>:<encoded>/],
    ['sha256:', /<algorithm>:<encoded>/],
    [`sha256:${'a'.repeat(63)}`, /64 lower-case hex/],
    [`sha256:${'A'.repeat(64)}`, /64 lower-case hex/],
    [`sha256:${'a'.repeat(65)}`, /64 lower-case hex/],
    [`sha512:${'a'.repeat(64)}`, /128 lower-case hex/],
    [`md5:${'a'.repeat(32)}`, /unsupported digest algorithm "md5"/],
    [`SHA256:${'a'.repeat(64)}`, /<algorithm>:<encoded>/],
    [`sha256:../../${'a'.repeat(58)}`, /<algorithm>:<encoded>/],
    [`sha256:${'a'.repeat(63)}\n`, /<algorithm>:<encoded>/],
    [`sha256:${'a'.repeat(10_000)}`, /<algorithm>:<encoded>/]
  ])('refuses %j saying what is wrong', (value, message) => {
    expect(() => parseDigest(value)).toThrow(message)
  })

  test('does not echo a huge value back', () => {
    try {
      parseDigest('x'.repeat(100_000))
      expect.unreachable()
    } catch (error) {
      expect(JSON.stringify(error).length).toBeLessThan(2_000)
    }
  })
})

test('digestOf hashes', () => {
  const bytes = Buffer.from('pinnace')
  expect(digestOf(bytes)).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
  expect(digestOf(bytes, 'sha512')).toBe(`sha512:${createHash('sha512').update(bytes).digest('hex')}`)
})

test('isDigestShaped knows algorithms it cannot store', () => {
  expect(isDigestShaped(`blake3:${'a'.repeat(64)}`)).toBe(true)
  expect(isDigestShaped('multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8')).toBe(true)
  expect(isDigestShaped('latest')).toBe(false)
})
