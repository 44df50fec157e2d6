import fc from 'fast-check'
import { type Action, actions } from '../../src/access/authorize.ts'
import { parsePattern } from '../../src/access/pattern.ts'
import type { AccessRule, RuleSubject } from '../../src/access/rules.ts'
import type { Subject } from '../../src/access/subject.ts'

/** Few names, so that patterns and repositories often meet. */
const component = fc.constantFrom('a', 'b', 'ab', 'a-b', 'team', 'app')

export const repository = fc.array(component, { minLength: 1, maxLength: 4 }).map(parts => parts.join('/'))

const wildComponent = fc.oneof(component, fc.constantFrom('*', '**', 'a*', '*b', '*a*', 'a-*'))

export const patternText = fc.array(wildComponent, { minLength: 1, maxLength: 4 }).map(parts => parts.join('/'))

export const actionSet = fc.subarray<Action>([...actions]).map(list => new Set(list))

export const names = ['alice', 'bob'] as const
const name = fc.constantFrom(...names)
const groups = fc.subarray(['dev', 'ops'])

const ruleSubject: fc.Arbitrary<RuleSubject> = fc.oneof(
  fc.constant<RuleSubject>({ kind: 'anonymous' }),
  fc
    .tuple(fc.constantFrom('user' as const, 'token' as const, 'peer' as const), fc.option(name, { nil: undefined }))
    .map(([kind, given]): RuleSubject => (given === undefined ? { kind } : { kind, name: given })),
  fc.constantFrom('dev', 'ops').map((group): RuleSubject => ({ kind: 'group', name: group }))
)

const grant = fc.record({ pattern: patternText.map(parsePattern), actions: actionSet })

export const rule: fc.Arbitrary<AccessRule> = fc
  .tuple(ruleSubject, grant)
  .map(([subject, rest]) => ({ subject, ...rest }))
export const rules = fc.array(rule, { maxLength: 12 })

const grants = fc.array(grant, { maxLength: 3 })

/** Everybody but the operator and anonymous. */
export const named: fc.Arbitrary<Exclude<Subject, { kind: 'anonymous' | 'operator' }>> = fc.oneof(
  fc.record({ kind: fc.constant('user' as const), name, groups }),
  fc.record({ kind: fc.constant('token' as const), id: fc.constant('t1'), name, grants }),
  fc.record({ kind: fc.constant('external' as const), name, grants }),
  fc.record({ kind: fc.constant('peer' as const), id: name })
)
