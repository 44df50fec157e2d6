import type { IncomingMessage } from 'node:http'
import type { Authentication, Step } from '../access/authentication.ts'
import { type Action, type Authorize, type Reach, wholeNode, wholeReach } from '../access/authorize.ts'
import type { Caller, Verdict } from '../access/caller.ts'
import { covers, permits } from '../access/permits.ts'
import type { Scope } from '../access/scope.ts'
import { anonymous, showSubject } from '../access/subject.ts'
import { RegistryError } from '../errors.ts'
import { type Challenges, createChallenges } from './challenge.ts'
import type { Locations } from './location.ts'
import type { ClientOf } from './source.ts'

export interface GuardComponents {
  authorize: Authorize
  /** Default {@link wholeReach}. */
  reach?: Reach
  /** Absent where nobody is asked who they are. */
  authentication?: Authentication
  locations: Locations
  /** Address of a client, for back-off. */
  clientOf: ClientOf
}

export interface GuardInit {
  /** What somebody is told who is refused where nobody can sign in. */
  openHint?: () => string | undefined
}

/** A request and who makes it. */
export interface Visitor {
  readonly request: IncomingMessage
  readonly caller: Caller
}

/** Anything that a credential has to be good for. */
interface Need {
  scopes: readonly Scope[]
  /** As a sentence goes on after "may not". */
  what: string
  detail?: object
}

/**
 * Stands at every HTTP door: tells who asks, asks the one access rule, and words its refusals. Nothing it says depends on
 * whether the repository exists: doors ask it before they look.
 */
export class Guard {
  readonly authentication: Authentication | undefined
  readonly #authorize: Authorize
  readonly #reach: Reach
  readonly #clientOf: ClientOf
  readonly #challenges: Challenges | undefined
  readonly #openHint: () => string | undefined

  constructor({ authorize, reach, authentication, locations, clientOf }: GuardComponents, init: GuardInit = {}) {
    this.authentication = authentication
    this.#authorize = authorize
    this.#reach = reach ?? wholeReach
    this.#clientOf = clientOf
    this.#challenges = authentication && createChallenges(authentication.challenge, locations)
    this.#openHint = init.openHint ?? (() => undefined)
  }

  /**
   * Who asks; at once when the credential is remembered.
   *
   * @throws {RegistryError} UNAUTHORIZED with the challenge, TOOMANYREQUESTS
   */
  identify(request: IncomingMessage): Visitor | Promise<Visitor> {
    if (this.authentication === undefined) return { request, caller: nobody }
    try {
      const { address } = this.#clientOf(request)
      const caller = this.authentication.identify(request.headers.authorization, address, stepOf(request))
      if (!(caller instanceof Promise)) return { request, caller }
      return caller.then(
        known => ({ request, caller: known }),
        error => {
          throw this.#challenged(request, error)
        }
      )
    } catch (error) {
      throw this.#challenged(request, error)
    }
  }

  /** Address of the client. */
  sourceOf(request: IncomingMessage): string {
    return this.#clientOf(request).address
  }

  /** Whether the visitor may, and if not, whether another bearer token would help. */
  verdict({ caller }: Visitor, action: Action, repository: string): Verdict {
    return permits(this.#authorize, caller, action, repository)
  }

  /** Whether the subject has the right at all, whatever its bearer token was issued for. */
  hasRight({ caller }: Visitor, action: Action, repository: string): boolean {
    return this.#authorize(caller.subject, action, repository)
  }

  /** Where to look for the repositories on which the subject has the right. */
  reach({ caller }: Visitor, action: Action): readonly string[] {
    return this.#reach(caller.subject, action)
  }

  /**
   * Asks the one access rule.
   *
   * @param scopes - named in the challenge. Default: what clients usually need together with the action
   * @throws {RegistryError} UNAUTHORIZED with a challenge when signing in or another bearer token may help; DENIED
   */
  demand(visitor: Visitor, action: Action, repository: string, scopes?: readonly Scope[]): void {
    const verdict = this.verdict(visitor, action, repository)
    if (verdict !== 'allowed') throw this.refusal(visitor, verdict, action, repository, scopes)
  }

  /** What {@link demand} throws. */
  refusal(
    visitor: Visitor,
    verdict: Exclude<Verdict, 'allowed'>,
    action: Action,
    repository: string,
    scopes: readonly Scope[] = scopesFor(action, repository)
  ): RegistryError {
    const need =
      repository === wholeNode
        ? { what: 'administer this node', detail: { action } }
        : { what: `${action} ${repository}`, detail: { action, repository } }
    return this.#refusal(visitor, verdict, { ...need, scopes })
  }

  /**
   * For the list of repositories, which shows to each what it may pull: only a bearer token can be too narrow for it.
   *
   * @throws {RegistryError} UNAUTHORIZED with a challenge
   */
  demandCatalog(visitor: Visitor): void {
    const { scopes } = visitor.caller
    if (scopes === undefined || covers(scopes, 'registry', 'catalog', '*')) return
    throw this.#refusal(visitor, 'insufficient-scope', catalog)
  }

  /**
   * Where signing in would show more than nothing: some clients send their credentials only when asked for them.
   *
   * @throws {RegistryError} UNAUTHORIZED with a challenge for somebody who sent no credential, where one can be sent
   */
  inviteToCatalog(visitor: Visitor): void {
    if (this.isStranger(visitor)) throw this.#refusal(visitor, 'denied', catalog)
  }

  /** Whether the visitor sent no credential where one can be sent. */
  isStranger({ request }: Visitor): boolean {
    return this.authentication !== undefined && request.headers.authorization === undefined
  }

  /**
   * For `/v2/`, where clients learn how to sign in.
   *
   * @throws {RegistryError} UNAUTHORIZED with a challenge
   */
  demandCredential(visitor: Visitor): void {
    if (this.isStranger(visitor)) throw this.#refusal(visitor, 'denied', { scopes: [], what: 'come in' })
  }

  /** An error with the challenge of a door where passwords and own tokens are all that helps. */
  withBasic(error: unknown, headers: Readonly<Record<string, string>> = {}): unknown {
    if (!(error instanceof RegistryError)) return error
    const { reason, message, detail } = error
    const basic = reason === 'UNAUTHORIZED' && this.#challenges && { 'WWW-Authenticate': this.#challenges.basic }
    return new RegistryError(reason, {
      message,
      detail,
      headers: { ...error.headers, ...headers, ...basic },
      cause: error
    })
  }

  #refusal({ request, caller }: Visitor, verdict: Verdict, { scopes, what, detail }: Need): RegistryError {
    const challenges = this.#challenges
    if (challenges === undefined) {
      const message = this.#openHint()
      return new RegistryError('DENIED', { detail, ...(message !== undefined && { message }) })
    }
    const insufficient = verdict === 'insufficient-scope'
    if (!insufficient && caller.subject.kind !== 'anonymous') {
      const message = `${showSubject(caller.subject)} may not ${what}: ask whoever administers this registry`
      return new RegistryError('DENIED', { message, detail })
    }
    const challenge = challenges.bearer(request, scopes, insufficient ? 'insufficient_scope' : undefined)
    const message = insufficient
      ? 'the bearer token was issued for something else: ask for one with the scope that the challenge names'
      : 'authentication required: sign in, with "docker login" for one'
    return new RegistryError('UNAUTHORIZED', { message, detail, headers: { 'WWW-Authenticate': challenge } })
  }

  /** A credential that is wrong or over is told so even where none was needed. */
  #challenged(request: IncomingMessage, error: unknown): unknown {
    if (!(error instanceof RegistryError) || error.reason !== 'UNAUTHORIZED' || this.#challenges === undefined)
      return error
    return new RegistryError('UNAUTHORIZED', {
      message: error.message,
      detail: error.detail,
      headers: { ...error.headers, 'WWW-Authenticate': this.#challenges.bearer(request, [], 'invalid_token') },
      cause: error
    })
  }
}

function stepOf({ method }: IncomingMessage): Step {
  if (method === 'PUT' || method === 'PATCH') return 'write'
  return method === 'POST' ? 'open' : 'look'
}

const nobody: Caller = { subject: anonymous }

const catalog: Need = {
  scopes: [{ type: 'registry', name: 'catalog', actions: ['*'] }],
  what: 'list repositories',
  detail: { action: 'catalog' }
}

/** Words of the scope that clients ask for in one go. */
const wanted: Readonly<Record<Action, readonly string[]>> = {
  pull: ['pull'],
  fetch: ['pull'],
  create: ['pull', 'push'],
  push: ['pull', 'push'],
  delete: ['delete'],
  admin: []
}

/** What a bearer token for an action is asked with. */
export function scopesFor(action: Action, repository: string): Scope[] {
  const actions = wanted[action]
  return actions.length === 0 ? [] : [{ type: 'repository', name: repository, actions }]
}
