import fc from 'fast-check'
import { expect, it } from 'vitest'
import { SealedNames } from '../../src/http/sealed-names.ts'

const names = new SealedNames()
const name = fc.string({ unit: 'grapheme-ascii', maxLength: 255 }).filter(text => !text.includes('\0'))

it('reads back what it sealed, and shows neither the name nor its length nor whether it is the same one', () => {
  fc.assert(
    fc.property(name, text => {
      const sealed = names.seal(text)
      expect(names.open(sealed)).toBe(text)
      expect(sealed).toMatch(/^~[\w-]+$/)
      expect(sealed).toHaveLength(names.seal('').length)
      expect(sealed).not.toBe(names.seal(text))
    })
  )
})

it('opens nothing that another process sealed, that was changed, or that is none', () => {
  const sealed = names.seal('team/private')
  const flipped = sealed.slice(0, 40) + (sealed[40] === 'A' ? 'B' : 'A') + sealed.slice(41)
  for (const text of [new SealedNames().seal('team/private'), flipped, sealed.slice(0, -2), `${sealed}AA`, '~', 'a'])
    expect(names.open(text)).toBeUndefined()
  expect(() => names.seal('x'.repeat(256))).toThrow(RangeError)
})
