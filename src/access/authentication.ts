import type { Caller } from './caller.ts'
import type { AbortOptions } from './ports.ts'
import type { Scope } from './scope.ts'
import type { Subject } from './subject.ts'

/**
 * Where a request stands in a push: `look` (`GET`, `HEAD`, `DELETE`), `open` (`POST`), `write` (`PATCH`, `PUT`). The later, the
 * longer a bearer token that has expired is good enough, because the less can be tried again.
 */
export type Step = 'look' | 'open' | 'write'

/** What a request for a bearer token says (distribution's token and OAuth2 specifications). */
export interface TokenRequest {
  /** Who asks; `none` is anonymous. */
  credential:
    | { type: 'none' }
    | { type: 'authorization'; header: string }
    | { type: 'password'; username: string; password: string }
    | { type: 'refresh'; token: string }
  scopes: readonly Scope[]
  /** `service`, compared with ours when it was given. */
  service?: string
  /** Whether a refresh token is wanted (`offline_token=true`, `access_type=offline`). */
  offline: boolean
  /** Address of the client, for back-off. */
  source: string
}

export interface IssuedToken {
  token: string
  /** Whom it was issued to. */
  subject: Subject
  /** Seconds. */
  expiresIn: number
  /** ms since epoch. */
  issuedAt: number
  /** What was granted of what was asked. */
  scopes: readonly Scope[]
  refreshToken?: string
}

/** This node's own token server, behind `/token`. */
export interface TokenServer {
  /**
   * Grants of each scope what the subject may at this moment; nothing is an answer too, not an error.
   *
   * @throws {RegistryError} UNAUTHORIZED for a wrong credential, TOOMANYREQUESTS with `Retry-After` during back-off
   */
  issue(request: TokenRequest, options?: AbortOptions): Promise<IssuedToken>
}

/** What a `WWW-Authenticate: Bearer` of this node names. */
export interface ChallengeInit {
  /** URL of an external token server; absent: this node's own `/token`. */
  realm?: string
  /** Path of the token server on whatever host was asked, in place of a realm (`auth.token.autoredirect`). */
  realmPath?: string
  service: string
}

/** Who asks, by the `Authorization` header. Absent where nothing asks for a password. */
export interface Authentication {
  readonly challenge: ChallengeInit
  /** Absent with an external token server. */
  readonly tokenServer?: TokenServer
  /**
   * The caller of a request. At once when the credential is remembered, since every request passes here; a promise while a
   * password is hashed or a signature checked. What was revoked meanwhile is looked up each time.
   *
   * @param source - address of the client, for back-off
   * @param step - default `look`
   * @throws {RegistryError} UNAUTHORIZED, TOOMANYREQUESTS with `Retry-After` during back-off
   */
  identify(authorization: string | undefined, source: string, step?: Step): Caller | Promise<Caller>
}
