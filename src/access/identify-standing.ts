import type { Caller } from './caller.ts'
import { credentialOf } from './fingerprint.ts'
import type { OwnTokens } from './own-tokens.ts'
import { exactPattern } from './pattern.ts'
import type { BearerClaims, ExternalClaims, PasswordEntry, PasswordFile } from './ports.ts'
import type { Scope } from './scope.ts'
import { anonymous, type Subject } from './subject.ts'

/** Somebody who proved who they are, asked anew at each request whether that still holds. */
export interface Standing {
  /** What a bearer token issued to them says; absent for somebody whom another server speaks for. */
  readonly claim?: BearerClaims['subject']
  /** The same object as long as nothing changed; `undefined` when it holds no more. */
  subject(): Subject | undefined
}

export const standingAnonymous: Standing = { claim: { kind: 'anonymous' }, subject: () => anonymous }

/** A session of a user, and who knows whether it was taken away. */
export interface Session {
  id: string
  tokens: OwnTokens
}

/** A user until the password changes or the session is taken away; groups are those of the moment. */
export function standingUser(file: PasswordFile, entry: PasswordEntry, session?: Session): Standing {
  let known = entry
  let subject = userOf(entry)
  const claim = { kind: 'user', name: entry.name, credential: credentialOf(entry) } as const
  return {
    claim: session === undefined ? claim : { ...claim, session: session.id },
    subject: () => {
      if (session?.tokens.wasRemoved(session.id)) return undefined
      const current = file.entry(known.name)
      if (current === known) return subject
      if (current === undefined || current.hash !== known.hash) return undefined
      known = current
      subject = userOf(current)
      return subject
    }
  }
}

/** The holder of an own token until it is removed or expires. */
export function standingToken(tokens: OwnTokens, id: string): Standing {
  return { claim: { kind: 'token', id }, subject: () => tokens.subject(id) }
}

/** Somebody of the external token server, whose word is all there is. */
export function standingExternal(claims: ExternalClaims): Standing {
  // Repositories are named as they are: a `*` in a name is no wildcard.
  const grants = claims.access.flatMap(({ type, name, actions }) =>
    type === 'repository' ? [{ pattern: exactPattern(name), actions: actionsOf(actions) }] : []
  )
  const subject: Subject = { kind: 'external', name: claims.subject, grants }
  return { subject: () => subject }
}

/** What a bearer token of this node stands for; `undefined` when that is gone. */
export function standingOf(
  claim: BearerClaims['subject'],
  { tokens, file }: { tokens: OwnTokens; file?: PasswordFile }
): Standing | undefined {
  if (claim.kind === 'anonymous') return standingAnonymous
  if (claim.kind === 'token') return standingToken(tokens, claim.id)
  const entry = file?.entry(claim.name)
  if (file === undefined || entry === undefined || credentialOf(entry) !== claim.credential) return undefined
  return standingUser(file, entry, claim.session === undefined ? undefined : { id: claim.session, tokens })
}

/** A caller that is remembered: who it is, what for, until when. */
export class RememberedCaller {
  readonly #standing: Standing
  readonly #expiresAt: number
  readonly #scopes: readonly Scope[] | undefined
  #caller: Caller | undefined

  /** @param expiresAt - ms since epoch */
  constructor(standing: Standing, expiresAt = Number.POSITIVE_INFINITY, scopes?: readonly Scope[]) {
    this.#standing = standing
    this.#expiresAt = expiresAt
    this.#scopes = scopes
  }

  isOver(now: number): boolean {
    return now >= this.#expiresAt
  }

  /** `undefined` when its time is over or whom it stood for is gone. */
  at(now: number): Caller | undefined {
    const subject = this.isOver(now) ? undefined : this.#standing.subject()
    if (subject === undefined) return undefined
    if (this.#caller?.subject === subject) return this.#caller
    this.#caller = this.#scopes === undefined ? { subject } : { subject, scopes: this.#scopes }
    return this.#caller
  }
}

function userOf({ name, groups }: PasswordEntry): Subject {
  return { kind: 'user', name, groups }
}

/** In a token of distribution `push` also makes what is new, and `*` is everything but running the registry. */
function actionsOf(names: readonly string[]) {
  if (names.includes('*')) return new Set(['pull', 'push', 'create', 'delete', 'fetch'] as const)
  const known = (['pull', 'push', 'delete'] as const).filter(action => names.includes(action))
  return new Set(known.flatMap(action => (action === 'push' ? (['push', 'create'] as const) : [action])))
}
