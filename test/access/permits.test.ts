import { describe, expect, it, test } from 'vitest'
import { type Action, actions, createAccess, openAccess } from '../../src/access/authorize.ts'
import type { Caller, Verdict } from '../../src/access/caller.ts'
import { createImmutableTags, immutableMessage, isTagPattern, mayMoveTag } from '../../src/access/immutable.ts'
import { parsePattern } from '../../src/access/pattern.ts'
import { covers, grantScopes, permits } from '../../src/access/permits.ts'
import { formatScopes, parseScopes } from '../../src/access/scope.ts'
import { anonymous, operator, type Subject } from '../../src/access/subject.ts'

const bob: Subject = { kind: 'user', name: 'bob', groups: [] }
const { authorize } = createAccess({
  rules: [
    { subject: { kind: 'user' }, pattern: parsePattern('team/**'), actions: new Set<Action>(['pull', 'push']) },
    { subject: { kind: 'user' }, pattern: parsePattern('new/**'), actions: new Set<Action>(['create']) },
    { subject: { kind: 'anonymous' }, pattern: parsePattern('public/**'), actions: new Set<Action>(['pull']) },
    { subject: { kind: 'user', name: 'root' }, pattern: parsePattern('**'), actions: new Set<Action>(['admin']) }
  ]
})

function verdicts(caller: Caller, repository: string): Record<string, Verdict> {
  return Object.fromEntries(actions.map(action => [action, permits(authorize, caller, action, repository)]))
}

describe('a caller', () => {
  it('without scopes may what its subject may', () => {
    expect(verdicts({ subject: bob }, 'team/app')).toEqual({
      pull: 'allowed',
      push: 'allowed',
      create: 'allowed',
      delete: 'denied',
      fetch: 'denied',
      admin: 'denied'
    })
    expect(Object.values(verdicts({ subject: operator }, 'x')).every(verdict => verdict === 'allowed')).toBe(true)
  })

  it('with a bearer token may what that was issued for, while its subject still may', () => {
    const caller = { subject: bob, scopes: parseScopes('repository:team/app:pull repository:other:pull') }
    expect(verdicts(caller, 'team/app')).toMatchObject({
      pull: 'allowed',
      push: 'insufficient-scope',
      create: 'insufficient-scope',
      delete: 'denied'
    })
    expect(permits(authorize, caller, 'pull', 'team/app2')).toBe('insufficient-scope')
    expect(permits(authorize, caller, 'pull', 'other')).toBe('denied')
  })

  it.each<[Action, string, Verdict]>([
    ['pull', 'pull', 'allowed'],
    ['fetch', 'pull', 'allowed'],
    ['push', 'push', 'allowed'],
    ['create', 'push', 'allowed'],
    ['delete', 'delete', 'allowed'],
    ['delete', 'pull,push', 'insufficient-scope'],
    ['pull', 'push', 'insufficient-scope'],
    ['delete', '*', 'allowed'],
    ['push', '*', 'allowed'],
    ['admin', '*', 'denied'],
    ['admin', 'admin', 'denied']
  ])('%s needs the scope of its word: %s is %s', (action, words, verdict) => {
    const caller = { subject: bob, scopes: parseScopes(`repository:a:${words}`) }
    expect(permits(openAccess, caller, action, 'a')).toBe(verdict)
  })

  it('of an external server has to ask that for more', () => {
    const subject: Subject = { kind: 'external', name: 'eve', grants: [] }
    expect(permits(authorize, { subject }, 'push', 'team/app')).toBe('insufficient-scope')
    expect(permits(authorize, { subject }, 'admin', 'team/app')).toBe('denied')
    expect(permits(authorize, { subject }, 'pull', 'public/app')).toBe('allowed')
  })

  it('has a scope of another type or of a plugin only for what it is', () => {
    expect(covers(parseScopes('registry:catalog:*'), 'registry', 'catalog', '*')).toBe(true)
    expect(covers(parseScopes('registry:a:*'), 'repository', 'a', 'pull')).toBe(false)
    expect(covers(parseScopes('repository(plugin):a:pull'), 'repository', 'a', 'pull')).toBe(true)
  })
})

test.each<[string, Subject, string, string]>([
  ['all of it', bob, 'repository:team/app:pull,push', 'repository:team/app:pull,push'],
  ['what it may', bob, 'repository:team/app:pull,push,delete', 'repository:team/app:pull,push'],
  ['push to whoever may create', bob, 'repository:new/x:pull,push', 'repository:new/x:push'],
  ['all it may for *', bob, 'repository:team/app:*', 'repository:team/app:pull,push'],
  ['nothing', bob, 'repository:other:pull', ''],
  [
    'several',
    bob,
    'repository:team/a:pull repository:public/b:pull,push',
    'repository:team/a:pull repository:public/b:pull'
  ],
  ['anonymous', anonymous, 'repository:team/a:pull repository:public/b:pull', 'repository:public/b:pull'],
  ['the catalog', anonymous, 'registry:catalog:*', 'registry:catalog:*'],
  [
    'no word it does not know',
    { ...bob, name: 'root' },
    'repository:a:admin,fetch,constructor,pull',
    'repository:a:pull'
  ],
  ['no name that is none', { ...bob, name: 'root' }, 'repository:localhost:5005/a:pull repository:A:pull', ''],
  ['no other type', { ...bob, name: 'root' }, 'node:a:pull registry:gc:*', '']
])('a token is granted %s', (_, subject, asked, granted) => {
  expect(formatScopes(grantScopes(authorize, subject, parseScopes(asked)))).toBe(granted)
})

test('immutable tags: by pattern of the repository and of the tag', () => {
  const immutable = createImmutableTags([
    { repositories: parsePattern('team/**'), tags: 'v*' },
    { repositories: parsePattern('**'), tags: '*-final' }
  ])
  expect(mayMoveTag(immutable, 'team/app', 'v1')).toBe(false)
  expect(mayMoveTag(immutable, 'team/app', 'latest')).toBe(true)
  expect(mayMoveTag(immutable, 'other', 'v1')).toBe(true)
  expect(mayMoveTag(immutable, 'other', 'a-final')).toBe(false)
  const rule = immutable('team/app', 'v1')
  expect(rule && immutableMessage(rule, 'v1')).toMatch(/tag v1 .* tags v\* of team\/\*\* are immutable/)
  expect(['v*', '*', 'latest', 'v1.*-x', '_a'].every(isTagPattern)).toBe(true)
  expect(['', 'a b', '.x', '-x', 'a/b', 'v1:', 'a'.repeat(129)].some(isTagPattern)).toBe(false)
})
