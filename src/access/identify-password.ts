import { RegistryError } from '../errors.ts'
import type { BackOff } from './back-off.ts'
import { networkOf } from './back-off-source.ts'
import type { Fingerprint } from './fingerprint.ts'
import { type Standing, standingToken, standingUser } from './identify-standing.ts'
import type { OwnTokens } from './own-tokens.ts'
import { kindOfSecret } from './own-tokens-format.ts'
import type { AuditLog, PasswordFile, PasswordHash } from './ports.ts'
import { Remembered } from './remembered.ts'

/** Users with passwords. */
export interface Passwords {
  file: PasswordFile
  hash: PasswordHash
}

export interface SignInComponents {
  tokens: OwnTokens
  backOff: BackOff
  fingerprint: Fingerprint
  /** Absent: own tokens are the only passwords there are. */
  passwords?: Passwords
  audit?: AuditLog
}

export interface SignInInit {
  /** Passwords remembered as right. Default 16,384. */
  remembered?: number
}

/** Checks user names and passwords, the same way for `/v2` and `/token`. */
export class SignIn {
  readonly #components: SignInComponents
  /** Checks under way: five requests at once with one password cost one hash. */
  readonly #underWay = new Map<string, Promise<Standing>>()
  /**
   * Passwords that were right. For where they came from nothing is asked again: a cluster that pulls with one wants hundreds
   * of tokens. From elsewhere back-off is asked as ever, and no hash made.
   */
  readonly #right: Remembered<Standing>

  constructor(components: SignInComponents, init: SignInInit = {}) {
    this.#components = components
    this.#right = new Remembered(init.remembered ?? 16_384)
  }

  /**
   * Somebody by name and password; any name goes with an own token as the password.
   *
   * @throws {RegistryError} UNAUTHORIZED, TOOMANYREQUESTS with `Retry-After`
   */
  async byPassword(username: string, password: string, source: string): Promise<Standing> {
    const kind = kindOfSecret(password)
    if (kind === 'access') return this.byToken(password, source)
    // Nobody's password, so no guess: a client that sends it there must not turn away everybody behind its address.
    if (kind === 'refresh') throw refreshTokenOnly()
    const { fingerprint, backOff } = this.#components
    const key = fingerprint(networkOf(source), username, password)
    const right = this.#right.get(key)
    if (right?.subject() !== undefined && !backOff.closed(source, username)) return right
    const joined = this.#underWay.get(key)
    if (joined !== undefined) return joined
    const checking = this.#check(username, password, source).finally(() => this.#underWay.delete(key))
    this.#underWay.set(key, checking)
    const standing = await checking
    this.#right.set(key, standing)
    this.#right.set(fingerprint(username, password), standing)
    return standing
  }

  /** @throws {RegistryError} UNAUTHORIZED */
  byToken(secret: string, source: string): Standing {
    const { tokens } = this.#components
    const token = tokens.find(secret)
    if (token?.kind === 'access' && tokens.subject(token.id) !== undefined) {
      this.#record(`token:${token.name}`, 'allowed', source)
      return standingToken(tokens, token.id)
    }
    this.#record(token === undefined ? 'token' : `token:${token.name}`, 'failed', source)
    if (token?.kind === 'access') {
      throw unauthorized(`the token ${token.name} has expired: make another with "pinnace token create"`)
    }
    throw unauthorized('this token was removed or never made here: make another with "pinnace token create"')
  }

  async #check(username: string, password: string, source: string): Promise<Standing> {
    const { passwords, backOff, fingerprint } = this.#components
    if (passwords === undefined) {
      throw unauthorized('this registry has no passwords: use a token made by "pinnace token create" as the password')
    }
    const { file, hash } = passwords
    const attempt = backOff.begin(source, username)
    const right = this.#right.get(fingerprint(username, password))
    let matches: boolean
    const entry = file.entry(username)
    try {
      // A name that nobody has costs the same as a wrong password, or the time taken would tell who is there.
      matches = right?.subject() !== undefined || (await hash.matches(password, entry?.hash ?? file.decoy(username)))
    } catch (error) {
      attempt.abandoned()
      throw error
    }
    if (!matches || entry === undefined) {
      attempt.failed()
      // People type passwords where names go: a name that nobody has is not written down.
      this.#record(entry === undefined ? 'user' : `user:${username}`, 'failed', source)
      throw unauthorized('the user name or the password is wrong')
    }
    attempt.succeeded()
    this.#record(`user:${username}`, 'allowed', source)
    // If the file changed meanwhile, the first look at the standing says so.
    return standingUser(file, entry)
  }

  #record(subject: string, outcome: 'allowed' | 'failed', from: string): void {
    this.#components.audit?.record({ subject, action: 'login', outcome, from })
  }
}

export function refreshTokenOnly(): RegistryError {
  return unauthorized('a refresh token is good for asking /token for a bearer token only')
}

export function unauthorized(message: string): RegistryError {
  return new RegistryError('UNAUTHORIZED', { message })
}
