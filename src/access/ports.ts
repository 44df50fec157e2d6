/**
 * What `access/` needs from the world; implemented by the adapters `credentials/`, `metadata/` and `audit/`, wired by
 * `node.ts`.
 *
 * @module
 */
import type { Action } from './authorize.ts'
import type { Scope } from './scope.ts'

export interface AbortOptions {
  signal?: AbortSignal
}

/** One of this node's own tokens, without the secret that only its holder has. */
export interface TokenRecord {
  /** Public, in lists and logs. */
  id: string
  /** Given by the operator; unique. */
  name: string
  /** `access`: made by `pinnace token create`. `refresh`: made by a `docker login`, stands for its user. */
  kind: 'access' | 'refresh'
  /** Hex SHA-256 of the secret, which has 160 random bits or more: nothing slower is needed against guessing. */
  hash: string
  /** Patterns and actions, for `access`. */
  grants: readonly { repositories: string; actions: readonly Action[] }[]
  /** Whom a `refresh` stands for, and which password it was made with: another password ends it. */
  user?: { name: string; credential: string }
  /** ms since epoch. */
  createdAt: number
  /** ms since epoch; absent: never. */
  expiresAt?: number
}

/** Durable tokens. */
export interface TokenStore {
  /** In byte order of their IDs. */
  list(options?: AbortOptions): AsyncIterable<TokenRecord>
  /** Survives a power cut when this returns. */
  put(record: TokenRecord): Promise<void>
  delete(id: string): Promise<void>
}

/** A user as a password file has it at this moment. */
export interface PasswordEntry {
  name: string
  /** bcrypt, `$2a$`, `$2b$` or `$2y$`. */
  hash: string
  groups: readonly string[]
}

/** The users of htpasswd. Read again when the file changes; what it says now is what holds. */
export interface PasswordFile {
  /** `undefined` for nobody of that name. The very same object until a file changes, so comparing it is enough. */
  entry(name: string): PasswordEntry | undefined
  /** A hash that no password has, for comparing with where nobody has that name: as dear as one of the users' own. */
  decoy(name: string): string
  close(): Promise<void>
}

/** bcrypt off the main thread. */
export interface PasswordHash {
  /**
   * Constant time in the password.
   *
   * @throws {RegistryError} TOOMANYREQUESTS with `Retry-After` when too many are waiting
   */
  matches(password: string, hash: string): Promise<boolean>
}

/** What a bearer token of this node says. */
export interface BearerClaims {
  subject:
    | { kind: 'anonymous' }
    /** `credential`: which password entry it was issued for, see `credentialOf`. `session`: ID of the one it belongs to. */
    | { kind: 'user'; name: string; credential: string; session?: string }
    | { kind: 'token'; id: string }
  scopes: readonly Scope[]
  /** ms since epoch, whole seconds. */
  issuedAt: number
  /** ms since epoch, whole seconds. */
  expiresAt: number
}

/** Bearer tokens of this node, under a key that lives as long as the process. */
export interface BearerCodec {
  sign(claims: BearerClaims): Promise<string>
  /** @throws {RegistryError} UNAUTHORIZED saying what is wrong with it, never the token */
  verify(token: string): Promise<BearerClaims>
}

/** What a token of the external server says, after its signature, issuer, audience and times were checked. */
export interface ExternalClaims {
  subject: string
  /** The `access` claim. */
  access: readonly { type: string; name: string; actions: readonly string[] }[]
  /** ms since epoch. */
  expiresAt: number
  /** ms since epoch. */
  issuedAt?: number
}

/** JWTs of the external token server. */
export interface ExternalTokens {
  /** @throws {RegistryError} UNAUTHORIZED saying what is wrong with it, never the token */
  verify(token: string): Promise<ExternalClaims>
}

/** One line of the audit log. */
export interface AuditEntry {
  /** As `showSubject` writes it. */
  subject: string
  /** `key`: the node got another one; `export`: its key was written out. `lost`: so many entries as `reference` says could not be written here. */
  action: Action | 'mount' | 'login' | 'token' | 'key' | 'export' | 'config' | 'start' | 'stop' | 'lost'
  repository?: string
  /** Tag, digest, upload or token it is about. */
  reference?: string
  /** What a tag was set to. */
  digest?: string
  /** The repository that a blob was mounted from. */
  source?: string
  outcome: 'allowed' | 'denied' | 'failed'
  /** Address of the client, or `control` for the unix socket. */
  from?: string
  requestId?: string
  /** HTTP status, where there was one. */
  status?: number
}

export interface AuditLog {
  /** Never throws and never waits; what cannot be written is said in the node's own log. */
  record(entry: AuditEntry): void
}

export interface Clock {
  now(): number
}
