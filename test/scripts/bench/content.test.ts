import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Content } from '../../../scripts/bench/load/content.ts'

const bytesOf = (content: Content): Buffer => Buffer.concat([...content.buffers()])
const mebibyte = 1 << 20

describe('content', () => {
  it.each([0, 1, 32 * 1024, 32 * 1024 + 1, mebibyte, mebibyte + 1, 3 * mebibyte - 7])(
    'of %i bytes has so many',
    size => {
      expect(bytesOf(new Content('size', size))).toHaveLength(size)
    }
  )
  it('hashes to its digest', () => {
    const content = new Content('digest', 2 * mebibyte + 5)
    expect(content.digest).toBe(`sha256:${createHash('sha256').update(bytesOf(content)).digest('hex')}`)
  })
  it('is the same for the same seed, and shares no leaf with another', () => {
    const leaves = (seed: string): string[] =>
      Array.from({ length: 20 }, (_, index) =>
        bytesOf(new Content(seed, 20 * mebibyte)).toString('hex', index * mebibyte, index * mebibyte + 64)
      )
    expect(leaves('a')).toEqual(leaves('a'))
    expect(new Set([...leaves('a'), ...leaves('b')]).size).toBe(40)
  })
  it('does not change what it gave', () => {
    const generator = new Content('kept', 2 * mebibyte).buffers()
    const { value: first } = generator.next()
    const before = Buffer.from(first ?? [])
    generator.next()
    generator.next()
    expect(Buffer.compare(before, first ?? Buffer.alloc(0))).toBe(0)
  })
})
