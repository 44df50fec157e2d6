import type { Action } from './authorize.ts'
import type { RepositoryPattern } from './pattern.ts'

/** Actions on the repositories of a pattern. */
export interface Grant {
  pattern: RepositoryPattern
  actions: ReadonlySet<Action>
}

/** Who asks. */
export type Subject =
  | { kind: 'anonymous' }
  /** Whoever can open the unix socket or the data folder: already owns the node. */
  | { kind: 'operator' }
  /** Somebody with a password. */
  | { kind: 'user'; name: string; groups: readonly string[] }
  /** The holder of one of this node's own tokens, which says itself what it is for. */
  | { kind: 'token'; id: string; name: string; grants: readonly Grant[] }
  /** The holder of a JWT of the external token server, which alone decides what its users may. */
  | { kind: 'external'; name: string; grants: readonly Grant[] }
  /** A libp2p peer that proved its key. */
  | { kind: 'peer'; id: string }

export const anonymous: Subject = { kind: 'anonymous' }
export const operator: Subject = { kind: 'operator' }

/** The subject as rules, audit lines and logs write it: `anonymous`, `operator`, `user:alice`, `token:ci`, `peer:12D3…`. */
export function showSubject(subject: Subject): string {
  switch (subject.kind) {
    case 'anonymous':
    case 'operator':
      return subject.kind
    case 'user':
    case 'token':
    case 'external':
      return `${subject.kind}:${subject.name}`
    case 'peer':
      return `peer:${subject.id}`
  }
}
