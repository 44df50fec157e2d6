import fc from 'fast-check'
import { expect, it, test } from 'vitest'
import { parseRuleSubject, wrongRuleSubject } from '../../src/access/rule-subject.ts'
import { RegistryError } from '../../src/errors.ts'

const peer = '12D3KooWGQ5vNKCbs5cVJQ4SPZTvrfyRhhdZ8gqs3XzXQ6PDpTDk'

it.each([
  ['anonymous', { kind: 'anonymous' }],
  ['user', { kind: 'user' }],
  ['user:ada@example.com', { kind: 'user', name: 'ada@example.com' }],
  // As "htpasswd" and "pinnace user hash" take it.
  ['user:Ada King', { kind: 'user', name: 'Ada King' }],
  ['user:a', { kind: 'user', name: 'a' }],
  ['group:dev', { kind: 'group', name: 'dev' }],
  ['token', { kind: 'token' }],
  ['token:ci.1', { kind: 'token', name: 'ci.1' }],
  ['peer', { kind: 'peer' }],
  [`peer:${peer}`, { kind: 'peer', name: peer }],
  [
    'peer:QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG',
    { kind: 'peer', name: 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG' }
  ]
])('%s', (text, subject) => {
  expect(parseRuleSubject(text)).toEqual(subject)
})

it.each([
  '',
  'operator',
  'external:x',
  'User',
  'user:',
  'user:a:b',
  'user: a',
  'user:a ',
  'user:a\tb',
  `user:${'a'.repeat(256)}`,
  'group:a b',
  'group:a,b',
  'group',
  'token:-',
  'peer:',
  `peer:${peer}x`
])('%j is none', text => {
  expect(() => parseRuleSubject(text)).toThrow(RegistryError)
})

test('any text is a subject, or an error that says so without breaking a line', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(fc.constantFrom('user', 'group', 'token', 'peer', 'anonymous'), fc.string({ unit: 'binary' }))
      .map(parts => parts.join(':'))
  )
  fc.assert(
    fc.property(text, any => {
      const wrong = wrongRuleSubject(any)
      if (wrong === undefined) expect(parseRuleSubject(any).kind).toBe(any.split(':')[0])
      else {
        expect(wrong).not.toMatch(/[\r\n]/)
        expect(() => parseRuleSubject(any)).toThrow(RegistryError)
      }
    }),
    { numRuns: 2000 }
  )
})
