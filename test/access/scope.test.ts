import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { formatScopes, maxScopeLength, maxScopes, parseScopes, type Scope } from '../../src/access/scope.ts'
import { RegistryError } from '../../src/errors.ts'

describe('a scope parameter', () => {
  it.each<[string | string[], Scope[]]>([
    ['repository:team/app:pull,push', [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }]],
    ['registry:catalog:*', [{ type: 'registry', name: 'catalog', actions: ['*'] }]],
    [
      'repository:localhost:5005/team/app:pull',
      [{ type: 'repository', name: 'localhost:5005/team/app', actions: ['pull'] }]
    ],
    ['repository(plugin):a:pull', [{ type: 'repository', class: 'plugin', name: 'a', actions: ['pull'] }]],
    [
      'repository:a:pull repository:b:pull,push',
      [
        { type: 'repository', name: 'a', actions: ['pull'] },
        { type: 'repository', name: 'b', actions: ['pull', 'push'] }
      ]
    ],
    [['repository:a:pull', 'repository:a:push,pull'], [{ type: 'repository', name: 'a', actions: ['pull', 'push'] }]],
    ['repository:a:', [{ type: 'repository', name: 'a', actions: [] }]],
    ['', []],
    [[], []],
    ['  ', []],
    [['', 'aws', 'repository:a', 'repository::pull', ':a:pull', 'Repository:a:pull', 'repository:a:pull;x'], []],
    [
      'repository:a"b:pull repository:a:b/c:pull repository:ok:pull',
      [{ type: 'repository', name: 'ok', actions: ['pull'] }]
    ]
  ])('%j', (given, scopes) => {
    expect(parseScopes(given)).toEqual(scopes)
  })

  it('is bounded in count and length', () => {
    const named = (count: number) => Array.from({ length: count }, (_, at) => `repository:a${at}:pull`)
    expect(parseScopes(named(maxScopes))).toHaveLength(maxScopes)
    expect(parseScopes(named(maxScopes).join(' '))).toHaveLength(maxScopes)
    expect(() => parseScopes(named(maxScopes + 1))).toThrow(/more than 100/)
    expect(() => parseScopes(`repository:${'a'.repeat(maxScopeLength)}:pull`)).toThrow(/longer than/)
    expect(() => parseScopes(' '.repeat(1_000_000))).toThrow(RegistryError)
  })
})

const word = fc.stringMatching(/^[a-z0-9]{1,8}$/)
const scope: fc.Arbitrary<Scope> = fc.record(
  {
    type: word,
    class: word,
    name: fc.tuple(fc.constantFrom('', 'localhost:5005/', 'r.example.com/'), word).map(([host, name]) => host + name),
    actions: fc.uniqueArray(fc.oneof(fc.constant('*'), fc.stringMatching(/^[a-z]{1,6}$/)), { maxLength: 4 })
  },
  { requiredKeys: ['type', 'name', 'actions'] }
)

test('what was formatted is read back', () => {
  const distinct = fc.uniqueArray(scope, {
    maxLength: 10,
    selector: ({ type, class: kind, name }) => `${type}(${kind})${name}`
  })
  fc.assert(
    fc.property(distinct, scopes => {
      expect(parseScopes(formatScopes(scopes))).toEqual(scopes)
      expect(parseScopes(scopes.map(each => formatScopes([each])))).toEqual(scopes)
    }),
    { numRuns: 1000 }
  )
})

test('any text is read, or refused as too much; what was read is safe in a challenge', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.stringMatching(/^[a-z:,*()/" 0-9\\]{0,80}$/),
    fc.mixedCase(fc.constant('repository:a/b:pull,push'))
  )
  fc.assert(
    fc.property(fc.array(text, { maxLength: 5 }), given => {
      const scopes = parseScopes(given)
      expect(formatScopes(scopes)).not.toMatch(/["\\\r\n\0]/)
      expect(parseScopes(formatScopes(scopes))).toEqual(scopes)
    }),
    { numRuns: 3000 }
  )
})
