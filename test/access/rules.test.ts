import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { type Action, actions, createAccess, wholeNode } from '../../src/access/authorize.ts'
import { parsePattern } from '../../src/access/pattern.ts'
import type { AccessRule, RuleSubject } from '../../src/access/rules.ts'
import { anonymous, operator, type Subject } from '../../src/access/subject.ts'
import { actionSet, named, patternText, repository, rules } from './arbitrary.ts'

const runs = { numRuns: 2000 }
const action = fc.constantFrom<Action>(...actions)

function subjectOf(text: string): RuleSubject {
  const [kind, name] = text.split(':')
  if (kind === 'group') return { kind, name: name ?? '' }
  if (kind === 'user' || kind === 'token' || kind === 'peer') return name === undefined ? { kind } : { kind, name }
  return { kind: 'anonymous' }
}

function line(subject: string, pattern: string, ...granted: Action[]): AccessRule {
  return { subject: subjectOf(subject), pattern: parsePattern(pattern), actions: new Set(granted) }
}

const user = (name: string, ...groups: string[]): Subject => ({ kind: 'user', name, groups })
const token = (name: string, pattern: string, ...granted: Action[]): Subject => ({
  kind: 'token',
  id: 'x',
  name,
  grants: [{ pattern: parsePattern(pattern), actions: new Set(granted) }]
})

/** What a subject may do to a repository. */
function rights(policy: readonly AccessRule[], subject: Subject, name: string): Action[] {
  const { authorize } = createAccess({ rules: policy })
  return actions.filter(each => authorize(subject, each, name))
}

describe('rules', () => {
  const policy = [
    line('user', '**', 'pull'),
    line('group:dev', 'team/**', 'pull', 'push'),
    line('user:alice', 'team/secret/**'),
    line('user:root', '**', 'admin'),
    line('anonymous', 'public/**', 'pull'),
    line('anonymous', 'public/internal/**'),
    line('token:robot', 'team/app', 'delete'),
    line('peer:12D3', 'team/**', 'pull'),
    line('token', 'cache/**', 'pull', 'fetch')
  ]

  it.each<[string, Subject, Action, string[]]>([
    ['anonymous', anonymous, 'pull', ['public']],
    ['anonymous, who pushes nowhere', anonymous, 'push', []],
    ['a group', user('bob', 'dev'), 'push', ['team']],
    [
      'a token, by its own grants, what all have and what its name has',
      token('robot', 'x/y', 'pull'),
      'delete',
      ['team/app']
    ],
    ['a token that pulls', token('robot', 'x/y', 'pull', 'push'), 'pull', ['cache', 'public', 'x/y']],
    ['any user, everywhere', user('bob'), 'pull', ['']],
    ['an admin of the node, everywhere', user('root'), 'delete', ['']],
    ['the operator, everywhere', operator, 'admin', ['']]
  ])('reach, for %s', (_who, subject, what, expected) => {
    expect(createAccess({ rules: policy }).reach(subject, what)).toEqual(expected)
  })

  it.each<[string, Subject, string, Action[]]>([
    ['nobody without a rule', anonymous, 'team/app', []],
    ['anonymous', anonymous, 'public/app', ['pull']],
    ['anonymous in a closed sub-tree', anonymous, 'public/internal/app', []],
    ['any user', user('bob'), 'other', ['pull']],
    ['a group', user('bob', 'dev'), 'team/app', ['pull', 'push', 'create']],
    ['another group', user('bob', 'ops'), 'team/app', ['pull']],
    ['a user shut out by name', user('alice', 'dev'), 'team/secret/app', []],
    ['the user beside it', user('bob', 'dev'), 'team/secret/app', ['pull', 'push', 'create']],
    ['an admin of the node, everywhere', user('root'), 'public/app', [...actions]],
    ['an admin of the node, itself', user('root'), wholeNode, [...actions]],
    ['a token by its own grants', token('t', 'a/**', 'pull'), 'a/b', ['pull']],
    ['a token beyond them', token('t', 'a/**', 'pull'), 'b', []],
    ['a token where a rule names it', token('robot', 'team/**', 'pull'), 'team/app', ['delete']],
    ['tokens where a rule names all', token('t', 'a', 'pull'), 'cache/x', ['pull', 'fetch']],
    ['a token is no user', token('alice', 'a', 'pull'), 'other', []],
    ['a peer', { kind: 'peer', id: '12D3' }, 'team/app', ['pull']],
    ['another peer', { kind: 'peer', id: '12D4' }, 'team/app', []],
    ['the operator', operator, 'anything', [...actions]]
  ])('%s', (_, subject, name, expected) => {
    expect(rights(policy, subject, name)).toEqual(expected)
  })

  it('of equal specificity add up', () => {
    const both = [line('user', 'a/*', 'pull'), line('group:dev', 'a/*', 'delete'), line('user:bob', 'a/*', 'create')]
    expect(rights(both, user('bob', 'dev'), 'a/b')).toEqual(['pull', 'create', 'delete'])
  })

  it('of an external server decide alone', () => {
    const external: Subject = {
      kind: 'external',
      name: 'root',
      grants: [{ pattern: parsePattern('a'), actions: new Set<Action>(['pull']) }]
    }
    expect(rights(policy, external, 'a')).toEqual(['pull'])
    expect(rights(policy, external, 'team/app')).toEqual([])
    expect(rights(policy, external, 'public/app')).toEqual(['pull'])
  })

  it('are asked the same way however many there are and however often', () => {
    const many = Array.from({ length: 5000 }, (_, at) => line('user', `team-${at}/**`, at % 2 === 0 ? 'pull' : 'push'))
    const { authorize } = createAccess({ rules: [...many, line('user', 'x*/**', 'delete')] })
    for (let round = 0; round < 2; round++) {
      for (let at = 0; at < 3000; at++) {
        expect(authorize(user('a'), 'pull', `team-${at}/x`)).toBe(at % 2 === 0)
        expect(authorize(user('a'), 'delete', `x${at}/y`)).toBe(true)
      }
    }
  })
})

/** Actions of the most specific rules, written down once more in the plain way. */
function plainly(all: readonly AccessRule[], subject: Subject, name: string): Set<Action> {
  const matching = all.filter(rule => concerns(rule.subject, subject) && rule.pattern.matches(name))
  const own = subject.kind === 'token' || subject.kind === 'external' ? subject.grants : []
  const both = [...matching, ...own.filter(grant => grant.pattern.matches(name))]
  const most = Math.max(...both.map(rule => rule.pattern.specificity))
  const granted = new Set(both.filter(rule => rule.pattern.specificity === most).flatMap(rule => [...rule.actions]))
  if (granted.has('admin')) return new Set(actions)
  return granted.has('push') ? granted.add('create') : granted
}

function concerns(rule: RuleSubject, subject: Subject): boolean {
  if (rule.kind === 'anonymous' || subject.kind === 'anonymous') return rule.kind === subject.kind
  if (rule.kind === 'group') return subject.kind === 'user' && subject.groups.includes(rule.name)
  if (rule.kind !== subject.kind) return false
  return rule.name === undefined || rule.name === (subject.kind === 'peer' ? subject.id : subject.name)
}

describe('any rules', () => {
  test('decide by the most specific, with the floor of anonymous and the admin of the node', () => {
    fc.assert(
      fc.property(rules, named, repository, action, (all, subject, name, what) => {
        const expected =
          plainly(all, subject, name).has(what) ||
          plainly(all, anonymous, name).has(what) ||
          plainly(all, subject, wholeNode).has('admin') ||
          plainly(all, anonymous, wholeNode).has('admin')
        expect(createAccess({ rules: all }).authorize(subject, what, name)).toBe(expected)
      }),
      runs
    )
  })

  test('allow nothing outside of what they reach, which is sorted and says nothing twice', () => {
    fc.assert(
      fc.property(rules, fc.oneof(named, fc.constant(anonymous)), repository, action, (all, subject, name, what) => {
        const { authorize, reach } = createAccess({ rules: all })
        const beginnings = reach(subject, what)
        if (authorize(subject, what, name)) expect(beginnings.some(each => name.startsWith(each))).toBe(true)
        expect(beginnings).toEqual(beginnings.toSorted())
        for (const each of beginnings) expect(beginnings.filter(other => other.startsWith(each))).toEqual([each])
      }),
      runs
    )
  })

  test('do not depend on their order', () => {
    const shuffled = rules.chain(all => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })))
    fc.assert(
      fc.property(shuffled, named, repository, ([all, other], subject, name) => {
        expect(rights(other, subject, name)).toEqual(rights(all, subject, name))
      }),
      runs
    )
  })

  test('give everyone what anonymous may, and with admin everything, with push also create', () => {
    fc.assert(
      fc.property(rules, named, repository, (all, subject, name) => {
        const own = rights(all, subject, name)
        expect(own).toEqual(expect.arrayContaining(rights(all, anonymous, name)))
        if (own.includes('admin')) expect(own).toEqual([...actions])
        if (own.includes('push')) expect(own).toContain('create')
      }),
      runs
    )
  })

  test('give nothing to whom none is about, and none at all to nobody', () => {
    fc.assert(
      fc.property(named, repository, action, (subject, name, what) => {
        fc.pre(!('grants' in subject))
        expect(createAccess({ rules: [] }).authorize(subject, what, name)).toBe(false)
        expect(createAccess({ rules: [] }).authorize(anonymous, what, name)).toBe(false)
      })
    )
  })

  test('a closing rule of an exact name closes it, whatever wider rules say', () => {
    fc.assert(
      fc.property(patternText, actionSet, repository, (wide, granted, name) => {
        fc.pre(!granted.has('admin') && wide !== name)
        const all = [
          { subject: { kind: 'user' as const }, pattern: parsePattern(wide), actions: granted },
          line('user:bob', name)
        ]
        expect(rights(all, user('bob'), name)).toEqual([])
      }),
      runs
    )
  })
})
