import { type AccessRule, all, bitOf, type Decision, moreSpecific, RuleSet, undecided } from './rules.ts'
import type { Grant, Subject } from './subject.ts'

/**
 * What someone may want to do to a repository. `push` writes, and moves tags; `create` writes what is new and moves no tag;
 * `fetch` makes this node go and get something; `admin` is about the node and includes all the others.
 */
export const actions = ['pull', 'push', 'create', 'delete', 'fetch', 'admin'] as const
export type Action = (typeof actions)[number]

/**
 * The one rule asked at every door (invariant 9). Synchronous: it decides from what is in memory, and again at each
 * request, so that what was taken from somebody is gone with the next one.
 *
 * @param repository - or {@link wholeNode}
 */
export type Authorize = (subject: Subject, action: Action, repository: string) => boolean

/**
 * Where to look for the repositories on which a subject may do something: every name {@link Authorize} says yes to begins
 * with one of these, in byte order and none the beginning of another; not every name that does is one of them. `['']` is
 * all there are.
 */
export type Reach = (subject: Subject, action: Action) => readonly string[]

/** What `admin` is asked about where a door concerns no repository; only the pattern `**` matches it. */
export const wholeNode = ''

/** No access control at all: for a node that nobody else can reach, and `access: open`. */
export const openAccess: Authorize = () => true
export const wholeReach: Reach = () => ['']

/** Who may do what, as configured. */
export interface AccessPolicy {
  rules: readonly AccessRule[]
}

/**
 * Compiles the rules. For a subject and a repository those count whose subject and pattern match, and of them the ones with
 * the most specific pattern, wherever they stand; without any the answer is no. Whatever anonymous may, everyone may; and
 * whoever has `admin` of the whole node may everything. The operator is asked nothing.
 */
export function createAccess({ rules }: AccessPolicy): { authorize: Authorize; reach: Reach } {
  const policy = new Policy(rules)
  return {
    authorize: (subject, action, repository) => policy.allows(subject, bitOf(action), repository),
    reach: (subject, action) => policy.reach(subject, bitOf(action))
  }
}

class Policy {
  readonly #anonymous: RuleSet
  readonly #nodeForAll: boolean
  readonly #users: Members
  readonly #groups: Members
  readonly #tokens: Members
  readonly #peers: Members
  /** Kept while somebody holds the subject, which never changes: a user of other groups is another one. */
  readonly #sets = new WeakMap<Subject, readonly RuleSet[]>()

  constructor(rules: readonly AccessRule[]) {
    this.#anonymous = new RuleSet(rules.filter(rule => rule.subject.kind === 'anonymous'))
    this.#nodeForAll = this.#anonymous.decide(wholeNode).mask === all
    const members = (kind: AccessRule['subject']['kind']) =>
      new Members(rules.filter(rule => rule.subject.kind === kind))
    this.#users = members('user')
    this.#groups = members('group')
    this.#tokens = members('token')
    this.#peers = members('peer')
  }

  allows(subject: Subject, bit: number, repository: string): boolean {
    if (subject.kind === 'operator' || this.#nodeForAll) return true
    if ((this.#anonymous.decide(repository).mask & bit) !== 0) return true
    if (subject.kind === 'anonymous') return false
    if ((this.#decide(subject, repository).mask & bit) !== 0) return true
    return repository !== wholeNode && this.#decide(subject, wholeNode).mask === all
  }

  reach(subject: Subject, bit: number): readonly string[] {
    if (subject.kind === 'operator' || this.#nodeForAll) return ['']
    const beginnings = [this.#anonymous, ...this.#setsOf(subject)].flatMap(set => [...set.beginnings(bit)])
    return withoutLonger(beginnings.sort())
  }

  /** By the rules about this subject, those about anonymous left out. */
  #decide(subject: Exclude<Subject, { kind: 'operator' }>, repository: string): Decision {
    let decision = undecided
    for (const set of this.#setsOf(subject)) decision = moreSpecific(decision, set.decide(repository))
    return decision
  }

  /** The rules about this subject, those about anonymous left out; looked up once, as who asks asks again. */
  #setsOf(subject: Exclude<Subject, { kind: 'operator' }>): readonly RuleSet[] {
    const known = this.#sets.get(subject)
    if (known !== undefined) return known
    const sets = this.#lookUp(subject)
    this.#sets.set(subject, sets)
    return sets
  }

  #lookUp(subject: Exclude<Subject, { kind: 'operator' }>): readonly RuleSet[] {
    switch (subject.kind) {
      case 'anonymous':
        return []
      case 'user':
        return [...this.#users.setsOf(subject.name), ...subject.groups.flatMap(group => this.#groups.setsOf(group))]
      case 'token':
        return [...this.#tokens.setsOf(subject.name), compiled(subject.grants)]
      case 'external':
        return [compiled(subject.grants)]
      case 'peer':
        return this.#peers.setsOf(subject.id)
    }
  }
}

/** There may be thousands of tokens, each in the hands of somebody who asks for names at will. */
function compiled(grants: readonly Grant[]): RuleSet {
  return new RuleSet(grants, { remembered: 64 })
}

/** Rules about all subjects of one kind, and about single ones of them. */
class Members {
  readonly #all: readonly RuleSet[]
  readonly #named = new Map<string, readonly RuleSet[]>()

  constructor(rules: readonly AccessRule[]) {
    const nameOf = ({ subject }: AccessRule) => ('name' in subject ? subject.name : undefined)
    this.#all = [new RuleSet(rules.filter(rule => nameOf(rule) === undefined))]
    for (const [name, own] of Map.groupBy(rules, nameOf)) {
      if (name !== undefined) this.#named.set(name, [...this.#all, new RuleSet(own)])
    }
  }

  setsOf(name: string): readonly RuleSet[] {
    return this.#named.get(name) ?? this.#all
  }
}

/** Of sorted texts those that begin with no other one. */
function withoutLonger(sorted: readonly string[]): string[] {
  const kept: string[] = []
  for (const text of sorted) {
    const shorter = kept.at(-1)
    if (shorter === undefined || !text.startsWith(shorter)) kept.push(text)
  }
  return kept
}
