import type { Scope } from './scope.ts'
import type { Subject } from './subject.ts'

/** A request's subject, and what its bearer token was issued for. */
export interface Caller {
  readonly subject: Subject
  /** Limits the subject's rights to these; `undefined` for credentials that stand for all of them (Basic, own tokens). */
  readonly scopes?: readonly Scope[]
}

/** Why a caller is refused: what it may not do at all, or what it only has to ask another bearer token for. */
export type Verdict = 'allowed' | 'denied' | 'insufficient-scope'
