import type { Action } from './authorize.ts'
import type { RepositoryPattern } from './pattern.ts'
import type { Grant } from './subject.ts'

/** Whom a rule is about. `user`, `token` and `peer` without a name are all of them. */
export type RuleSubject =
  | { kind: 'anonymous' }
  | { kind: 'user' | 'token' | 'peer'; name?: string }
  | { kind: 'group'; name: string }

/** One line of the configuration's `access`. No actions is a rule too: it closes a sub-tree. */
export interface AccessRule extends Grant {
  subject: RuleSubject
}

const bits: Readonly<Record<Action, number>> = { pull: 1, push: 2, create: 4, delete: 8, fetch: 16, admin: 32 }
/** Every action. */
export const all = 63

export function bitOf(action: Action): number {
  return bits[action]
}

/** `admin` includes all the others, `push` includes `create`. */
export function maskOf(granted: ReadonlySet<Action>): number {
  if (granted.has('admin')) return all
  let mask = granted.has('push') ? bits.create : 0
  for (const action of granted) mask |= bits[action]
  return mask
}

/** What the most specific of some rules say about a repository. */
export interface Decision {
  /** 0 when none matches. */
  specificity: number
  mask: number
}

export const undecided: Decision = { specificity: 0, mask: 0 }

/** Of two decisions the one by the more specific rule; both together when they are alike. */
export function moreSpecific(a: Decision, b: Decision): Decision {
  if (a.specificity !== b.specificity) return a.specificity > b.specificity ? a : b
  return { specificity: a.specificity, mask: a.mask | b.mask }
}

export interface RuleSetInit {
  /** Decisions remembered. Default 1024. */
  remembered?: number
}

/** Sets of fewer patterns are asked faster than remembered. */
const fewPatterns = 4

/** Rules about the same subject, in the order they are asked. */
export class RuleSet {
  readonly #exact = new Map<string, Decision>()
  readonly #patterns: { pattern: RepositoryPattern; mask: number }[] = []
  readonly #remembered = new Map<string, Decision>()
  readonly #maxRemembered: number

  constructor(grants: readonly Grant[], { remembered = 1024 }: RuleSetInit = {}) {
    this.#maxRemembered = remembered
    for (const { pattern, actions: granted } of grants) {
      const mask = maskOf(granted)
      if (isExact(pattern)) {
        const decision = { specificity: pattern.specificity, mask }
        this.#exact.set(pattern.text, moreSpecific(this.#exact.get(pattern.text) ?? undecided, decision))
      } else this.#patterns.push({ pattern, mask })
    }
    this.#patterns.sort((a, b) => b.pattern.specificity - a.pattern.specificity)
  }

  decide(repository: string): Decision {
    const exact = this.#exact.get(repository)
    if (exact !== undefined) return exact
    if (this.#patterns.length <= fewPatterns) return this.#match(repository)
    const remembered = this.#remembered.get(repository)
    if (remembered !== undefined) return remembered
    const decision = this.#match(repository)
    // Names come from clients: a full memory starts anew instead of being kept in order at each request.
    if (this.#remembered.size >= this.#maxRemembered) this.#remembered.clear()
    this.#remembered.set(repository, decision)
    return decision
  }

  /** What the names begin with that rules of this set allow the action on. */
  *beginnings(bit: number): Generator<string> {
    for (const [name, { mask }] of this.#exact) if ((mask & bit) !== 0) yield name
    for (const { pattern, mask } of this.#patterns) if ((mask & bit) !== 0) yield pattern.beginning
  }

  #match(repository: string): Decision {
    let decision = undecided
    for (const { pattern, mask } of this.#patterns) {
      if (pattern.specificity < decision.specificity) break
      if (pattern.matches(repository)) decision = moreSpecific(decision, { specificity: pattern.specificity, mask })
    }
    return decision
  }
}

function isExact(pattern: RepositoryPattern): boolean {
  return !pattern.text.includes('*')
}
