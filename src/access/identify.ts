import type { RegistryError } from '../errors.ts'
import type { Authentication, ChallengeInit, Step } from './authentication.ts'
import type { Authorize } from './authorize.ts'
import { BackOff, type BackOffInit } from './back-off.ts'
import { networkOf } from './back-off-source.ts'
import type { Caller } from './caller.ts'
import { createFingerprint } from './fingerprint.ts'
import { isBearer, parseCredential } from './identify-credential.ts'
import { type Passwords, refreshTokenOnly, SignIn, unauthorized } from './identify-password.ts'
import { RememberedCaller, type Standing, standingExternal, standingOf } from './identify-standing.ts'
import type { OwnTokens } from './own-tokens.ts'
import { kindOfSecret } from './own-tokens-format.ts'
import type { AuditLog, BearerCodec, Clock, ExternalTokens } from './ports.ts'
import { Remembered } from './remembered.ts'
import { anonymous } from './subject.ts'
import { createTokenServer } from './token-server.ts'

export interface AuthenticationComponents {
  /** What decides which scopes a token gets. */
  authorize: Authorize
  clock: Clock
  tokens: OwnTokens
  /** Bearer tokens of this node's own server, or those of another one. */
  bearers: { own: BearerCodec } | { external: ExternalTokens }
  /** Absent: there are no users. */
  passwords?: Passwords
  audit?: AuditLog
}

export interface AuthenticationInit extends ChallengeInit {
  backOff?: BackOffInit
  /** Verified credentials remembered, of each kind; a bearer token of more than 512 characters counts as several. Default 16,384. */
  remembered?: number
  /** ms a bearer token is good for. Default 5 minutes. */
  lifetimeMs?: number
}

/**
 * ms that a bearer token of ours is honoured beyond what its holder was told. Who watches the clock sends the last request in
 * time, and it is a moment on its way. Who does not (crane, oras, containerd) learns of the end by a 401, which the step that
 * follows must not be the first to get: a body cannot be sent again, and containerd before 2.0 gives a push up whose POST is
 * refused, where it goes on after a refused HEAD.
 */
const leewayMs: Readonly<Record<Step, number>> = { look: 10_000, open: 35_000, write: 60_000 }

interface Known {
  caller: RememberedCaller
  /** A bearer token of our own: good for a while after its end. */
  hasLeeway?: true
  /** Of a password: whose. */
  username?: string
}

/** Characters. What a token says is kept, and anybody can have long ones made. */
const usualBearer = 512

const anonymousCaller: Caller = { subject: anonymous }

/** Tells who asks. See {@link Authentication}. */
export function createAuthentication(components: AuthenticationComponents, init: AuthenticationInit): Authentication {
  const { backOff: backOffInit, remembered = 16_384, lifetimeMs, ...challenge } = init
  const backOff = new BackOff(components, backOffInit)
  const signIn = new SignIn({ ...components, backOff, fingerprint: createFingerprint() }, { remembered })
  const identifier = new Identifier(components, { signIn, backOff, remembered })
  const identify: Authentication['identify'] = (...request) => identifier.identify(...request)
  if (!('own' in components.bearers)) return { challenge, identify }
  const tokenServer = createTokenServer(
    { ...components, signIn, bearers: components.bearers.own },
    { service: init.service, ...(lifetimeMs === undefined ? {} : { lifetimeMs }) }
  )
  return { challenge, tokenServer, identify }
}

class Identifier {
  readonly #components: AuthenticationComponents
  readonly #signIn: SignIn
  readonly #backOff: BackOff
  readonly #fingerprint = createFingerprint()
  /** Bearer tokens, and own tokens in place of a password. Anybody can have many of them, and none is dear to check again. */
  readonly #tokens: Remembered<Known>
  /** Apart, so that those never push out what costs a hash. */
  readonly #passwords: Remembered<Known>

  constructor(components: AuthenticationComponents, parts: { signIn: SignIn; backOff: BackOff; remembered: number }) {
    this.#components = components
    this.#signIn = parts.signIn
    this.#backOff = parts.backOff
    this.#tokens = new Remembered(parts.remembered)
    this.#passwords = new Remembered(parts.remembered)
  }

  identify(authorization: string | undefined, source: string, step: Step = 'look'): Caller | Promise<Caller> {
    if (authorization === undefined) return anonymousCaller
    const bearer = isBearer(authorization)
    // A password is remembered for where it came from: what was right there tells a guesser elsewhere nothing.
    const key = bearer ? this.#fingerprint(authorization) : this.#fingerprint(networkOf(source), authorization)
    const known = (bearer ? undefined : this.#passwords.get(key)) ?? this.#tokens.get(key)
    if (known !== undefined) {
      const caller = this.#again(known, source, step)
      if (caller !== undefined) return caller
      // A bearer is never worth more than it was; a password may be right for the new entry.
      if (bearer) throw overOrRevoked()
      this.#passwords.delete(key)
      this.#tokens.delete(key)
    }
    return this.#anew(authorization, source, key)
  }

  #again({ caller, username, hasLeeway }: Known, source: string, step: Step): Caller | undefined {
    // Turned away in `byPassword`, with how long to wait.
    if (username !== undefined && this.#backOff.closed(source, username)) return undefined
    return caller.at(this.#components.clock.now() - (hasLeeway ? leewayMs[step] : 0))
  }

  async #anew(authorization: string, source: string, key: string): Promise<Caller> {
    const credential = parseCredential(authorization)
    const now = () => this.#components.clock.now()
    if (credential.scheme === 'bearer') {
      const caller = await this.#bearer(credential.token, source)
      const isOurs = kindOfSecret(credential.token) === undefined && 'own' in this.#components.bearers
      const weight = Math.ceil(authorization.length / usualBearer)
      this.#tokens.set(key, isOurs ? { caller, hasLeeway: true } : { caller }, weight)
      return caller.at(now()) ?? fail(overOrRevoked())
    }
    const { username, password } = credential
    const standing = await this.#signIn.byPassword(username, password, source)
    const caller = new RememberedCaller(standing)
    const current = caller.at(now()) ?? fail(unauthorized('the user name or the password is wrong'))
    if (standing.claim?.kind === 'user') this.#passwords.set(key, { caller, username })
    else this.#tokens.set(key, { caller })
    return current
  }

  async #bearer(token: string, source: string): Promise<RememberedCaller> {
    const kind = kindOfSecret(token)
    if (kind === 'access') return new RememberedCaller(this.#signIn.byToken(token, source))
    if (kind === 'refresh') throw refreshTokenOnly()
    const { bearers, clock } = this.#components
    if ('external' in bearers) {
      const claims = await bearers.external.verify(token)
      // Distribution's clients ask for a wider token when they are told that this one is too narrow.
      return new RememberedCaller(standingExternal(claims), claims.expiresAt, claims.access)
    }
    const { subject, scopes, expiresAt } = await bearers.own.verify(token)
    const standing: Standing | undefined = standingOf(subject, {
      tokens: this.#components.tokens,
      ...(this.#components.passwords && { file: this.#components.passwords.file })
    })
    if (standing === undefined || expiresAt <= clock.now()) throw overOrRevoked()
    return new RememberedCaller(standing, expiresAt, scopes)
  }
}

function overOrRevoked(): RegistryError {
  return unauthorized(
    'the bearer token has expired, or whom it was issued to has signed out or changed: ask for another'
  )
}

function fail(error: RegistryError): never {
  throw error
}
