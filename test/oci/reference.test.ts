import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  isRepository,
  isTag,
  parseImageName,
  parseManifestReference,
  parseRepository,
  parseTag
} from '../../src/oci/reference.ts'

const alphanumeric = 'abcdefghijklmnopqrstuvwxyz0123456789'
const word = fc.string({ unit: fc.constantFrom(...alphanumeric), minLength: 1, maxLength: 8 })
const separator = fc.constantFrom('.', '_', '__', '-', '--', '---')
const component = fc
  .tuple(word, fc.array(fc.tuple(separator, word), { maxLength: 3 }))
  .map(([first, rest]) => first + rest.map(([between, next]) => between + next).join(''))
const repository = fc
  .array(component, { minLength: 1, maxLength: 5 })
  .map(parts => parts.join('/'))
  .filter(name => name.length <= 255)
const tag = fc
  .tuple(
    fc.constantFrom(...alphanumeric, '_', 'Z'),
    fc.string({ unit: fc.constantFrom(...alphanumeric, '.', '_', '-', 'A'), maxLength: 127 })
  )
  .map(parts => parts.join(''))

describe('names', () => {
  test('every name the grammar makes is taken', () => {
    fc.assert(
      fc.property(repository, name => {
        expect(parseRepository(name)).toBe(name)
      })
    )
    fc.assert(
      fc.property(tag, value => {
        expect(parseTag(value)).toBe(value)
      })
    )
  })

  test('what is taken never escapes: no empty, dot or absolute component', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', '0', '.', '/', '-', '_', '%', '\0', 'A', ':'), maxLength: 12 }),
        name => {
          if (!isRepository(name)) return
          for (const part of name.split('/')) expect(part).toMatch(/^[a-z0-9]/)
          expect(name).not.toMatch(/[%:\0A-Z]|\.\./)
        }
      )
    )
  })

  test.each([
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    '.',
    '..',
    'a/../b',
    '.a',
    'a.',
    '-a',
    'a-',
    'a..b',
    'a___b',
    'A',
    'a b',
    'ä',
    'a\n',
    `${'a'.repeat(256)}`
  ])('repository %j is NAME_INVALID', name =>
    expect(() => parseRepository(name)).toThrow(expect.objectContaining({ reason: 'NAME_INVALID', status: 400 }))
  )

  test.each(['', '.a', '-a', 'a:b', 'a/b', 'a b', 'a\n', 'ä', 'a'.repeat(129)])('tag %j is TAG_INVALID', value => {
    expect(isTag(value)).toBe(false)
    expect(() => parseTag(value)).toThrow(expect.objectContaining({ reason: 'TAG_INVALID', code: 'MANIFEST_INVALID' }))
  })

  test('255 characters are a name', () => expect(parseRepository('a'.repeat(255))).toHaveLength(255))
})

describe('parseManifestReference', () => {
  const digest = `sha256:${'0'.repeat(64)}`
  test('tag or digest', () => {
    expect(parseManifestReference('latest')).toEqual({ tag: 'latest' })
    expect(parseManifestReference(digest)).toEqual({ digest })
    expect(() => parseManifestReference('sha256:abc')).toThrow(expect.objectContaining({ reason: 'DIGEST_INVALID' }))
    expect(() => parseManifestReference('.')).toThrow(expect.objectContaining({ reason: 'TAG_INVALID' }))
  })
})

describe('parseImageName', () => {
  const digest = `sha256:${'0'.repeat(64)}`
  test('round trip', () => {
    fc.assert(
      fc.property(repository, tag, (name, value) => {
        expect(parseImageName(`${name}:${value}`)).toEqual({ repository: name, reference: { tag: value } })
        expect(parseImageName(`${name}@${digest}`)).toEqual({ repository: name, reference: { digest } })
        expect(parseImageName(`${name}:${value}@${digest}`)).toEqual({ repository: name, reference: { digest } })
        expect(parseImageName(name)).toEqual({ repository: name, reference: { tag: 'latest' } })
      })
    )
  })
})
