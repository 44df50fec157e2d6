import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { everything, exactPattern, isPattern, parsePattern } from '../../src/access/pattern.ts'
import { RegistryError } from '../../src/errors.ts'
import { isRepository } from '../../src/oci/reference.ts'
import { patternText, repository } from './arbitrary.ts'

describe('a pattern', () => {
  it.each([
    ['team/app', ['team/app'], ['team', 'team/app/x', 'team/apps', 'xteam/app']],
    ['team/*', ['team/app', 'team/x.y'], ['team', 'team/app/x', 'teams/app']],
    ['team/**', ['team', 'team/app', 'team/app/base'], ['teams', 'teams/app', 'x/team']],
    ['**', ['a', 'a/b', 'a/b/c'], []],
    ['*', ['a', 'a-b'], ['a/b']],
    ['*/**', ['a', 'a/b/c'], []],
    ['**/app', ['app', 'a/app', 'a/b/app'], ['apps', 'app/a', 'a/xapp']],
    ['team/**/app', ['team/app', 'team/a/b/app'], ['team', 'team/a', 'app']],
    ['a/**/b/**/c', ['a/b/c', 'a/x/b/y/z/c', 'a/b/b/c/c'], ['a/c', 'a/c/b', 'a/b/c/x']],
    ['dev-*/web-*', ['dev-a/web-b'], ['dev/web', 'dev-a/web', 'dev-a/b/web-c']],
    ['*-x-*', ['a-x-b', 'a-x-x-b'], ['a-x', 'x-b']]
  ])('%s', (text, matching, others) => {
    const pattern = parsePattern(text)
    expect(pattern.text).toBe(text)
    expect(matching.filter(name => !pattern.matches(name))).toEqual([])
    expect(others.filter(name => pattern.matches(name))).toEqual([])
  })

  it.each([
    ['Team/**', /no repository.*lower case/],
    ['', /no repository/],
    ['/a', /no repository/],
    ['a/', /no repository/],
    ['a//b', /no repository/],
    ['a_.*', /no repository/],
    ['.*', /no repository/],
    ['host:5000/app', /no repository/],
    ['a**', /\*\* must be a whole component/],
    ['team/**b', /\*\* must be a whole component/],
    ['***', /\*\* must be a whole component/],
    ['a'.repeat(256), /longer than 255/]
  ])('%s is none, and the error says why', (text, message) => {
    expect(isPattern(text)).toBe(false)
    expect(() => parsePattern(text)).toThrow(RegistryError)
    expect(() => parsePattern(text)).toThrow(message)
  })

  test('the node as a whole is matched by ** alone', () => {
    expect(['**', '**/**'].every(text => parsePattern(text).matches(''))).toBe(true)
    expect(['*', '*/**', '**/a', 'a/**', 'a'].some(text => parsePattern(text).matches(''))).toBe(false)
    expect(everything.specificity).toBe(parsePattern('**').specificity)
  })

  test('one of any text matches that text only and is the most specific', () => {
    expect(exactPattern('**').matches('a')).toBe(false)
    expect(exactPattern('a/b').matches('a/b')).toBe(true)
    expect(exactPattern('a').specificity).toBe(parsePattern('x/y/z').specificity)
  })
})

/** The meaning in the slow but plain way. */
function plainly(pattern: string, name: string): boolean {
  const match = (wanted: string[], parts: string[]): boolean => {
    const [first, ...rest] = wanted
    if (first === undefined) return parts.length === 0
    if (first === '**') return parts.some((_, at) => match(rest, parts.slice(at))) || match(rest, [])
    const [part, ...others] = parts
    const expression = new RegExp(`^${first.replaceAll('*', '[^/]*')}$`)
    return part !== undefined && expression.test(part) && match(rest, others)
  }
  return match(pattern.split('/'), name.split('/'))
}

test('matches what its meaning says', () => {
  fc.assert(
    fc.property(patternText, repository, (text, name) => {
      expect(parsePattern(text).matches(name)).toBe(plainly(text, name))
    }),
    { numRuns: 3000 }
  )
})

test.each([
  ['team/app', 'team/app'],
  ['team/*', 'team'],
  ['team/**', 'team'],
  ['team/**/**', 'team'],
  ['team/**/app', 'team'],
  ['team/web-*', 'team/web-'],
  ['team*/**', 'team'],
  ['**', ''],
  ['*/app', '']
])('what %s matches begins with "%s"', (text, beginning) => {
  expect(parsePattern(text).beginning).toBe(beginning)
})

test('whatever a pattern matches begins as it says', () => {
  fc.assert(
    fc.property(patternText, repository, (text, name) => {
      const { matches, beginning } = parsePattern(text)
      fc.pre(matches(name))
      expect(name.startsWith(beginning)).toBe(true)
    }),
    { numRuns: 1000 }
  )
})

/** A pattern that matches all the given one does, and usually more. */
const widened = fc.tuple(patternText, fc.nat(), fc.constantFrom('*', '**', 'letter')).map(([text, seed, by]) => {
  const parts = text.split('/')
  const at = seed % parts.length
  const part = parts[at] ?? ''
  if (by === '**') return { text, wide: parts.with(at, '**').join('/') }
  if (part === '**') return { text, wide: text }
  if (by === '*') return { text, wide: parts.with(at, '*').join('/') }
  const letter = seed % part.length
  const starred = `${part.slice(0, letter)}*${part.slice(letter + 1)}`.replace(/\*+/g, '*')
  return { text, wide: parts.with(at, starred).join('/') }
})

test('what matches a part only of another is not the less specific', () => {
  fc.assert(
    fc.property(widened, ({ text, wide }) => {
      fc.pre(isPattern(wide) && wide !== text)
      expect(parsePattern(wide).specificity).toBeLessThan(parsePattern(text).specificity)
    }),
    { numRuns: 3000 }
  )
})

test.each([
  ['team/app', 'team/*'],
  ['team/*', 'team/**'],
  ['team/a*', 'team/*'],
  ['*/*', '**'],
  ['*/*/**', '*/**'],
  ['a/**', 'a*/**'],
  ['team/**', '**'],
  ['team', 'team/**']
])('%s is more specific than %s', (a, b) => {
  expect(parsePattern(a).specificity).toBeGreaterThan(parsePattern(b).specificity)
})

test('any text is a pattern or an error of ours, and takes no time', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[a-c*/.]{0,300}$/))
  fc.assert(
    fc.property(text, repository, (any, name) => {
      if (isPattern(any)) return parsePattern(any).matches(name) || true
      expect(() => parsePattern(any)).toThrow(RegistryError)
      return true
    }),
    { numRuns: 2000 }
  )
  const hostile = parsePattern(`${'*a'.repeat(120)}*b`)
  const name = `${'a'.repeat(254)}`
  expect(isRepository(name)).toBe(true)
  expect(hostile.matches(name)).toBe(false)
  expect(parsePattern(`${'**/a/'.repeat(50)}b`).matches(`${'a/'.repeat(120)}a`)).toBe(false)
})
