import { hash } from '@node-rs/bcrypt'
import { MemoryLevel } from 'memory-level'
import type { Authentication, TokenServer } from '../../src/access/authentication.ts'
import { type AccessPolicy, createAccess } from '../../src/access/authorize.ts'
import { createAuthentication } from '../../src/access/identify.ts'
import { type OwnTokens, openOwnTokens } from '../../src/access/own-tokens.ts'
import { parsePattern } from '../../src/access/pattern.ts'
import type { AuditEntry, PasswordEntry, PasswordFile, PasswordHash } from '../../src/access/ports.ts'
import { createBearerCodec } from '../../src/credentials/bearer-codec.ts'
import { openPasswordHash } from '../../src/credentials/password-hash.ts'
import { LevelMetadata } from '../../src/metadata/store.ts'

export const service = 'registry.test'

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** An authentication with real bcrypt, real JWTs and a real store, whose users, clock and rules a test changes. */
export class Authenticated {
  /** ms since epoch. */
  readonly clock: { ms: number }
  readonly users = new Map<string, PasswordEntry>()
  /** Hashes computed. */
  hashed = 0
  readonly audited: AuditEntry[] = []
  readonly authentication: Authentication
  readonly tokenServer: TokenServer
  readonly tokens: OwnTokens
  readonly metadata: LevelMetadata

  private constructor(
    metadata: LevelMetadata,
    tokens: OwnTokens,
    clock: { ms: number },
    rules: AccessPolicy['rules'],
    bcrypt: PasswordHash
  ) {
    this.metadata = metadata
    this.tokens = tokens
    const file: PasswordFile = {
      entry: name => this.users.get(name),
      decoy: () => `$2b$04$${'.'.repeat(53)}`,
      close: async () => {}
    }
    this.clock = clock
    const ticking = { now: () => clock.ms }
    const matches = (password: string, hash: string) => {
      this.hashed++
      return bcrypt.matches(password, hash)
    }
    this.authentication = createAuthentication(
      {
        ...createAccess({ rules }),
        clock: ticking,
        tokens,
        bearers: { own: createBearerCodec({ clock: ticking }, { service }) },
        passwords: { file, hash: { matches } },
        audit: { record: entry => this.audited.push(entry) }
      },
      { service }
    )
    const { tokenServer } = this.authentication
    if (tokenServer === undefined) throw new Error('no token server')
    this.tokenServer = tokenServer
  }

  static async start(rules: AccessPolicy['rules'] = usersPushAndPull): Promise<Authenticated> {
    const metadata = new LevelMetadata({ level: new MemoryLevel<string, string>() })
    await metadata.open()
    const clock = { ms: 1_700_000_000_000 }
    const tokens = await openOwnTokens({ store: metadata.tokens, clock: { now: () => clock.ms } })
    return new Authenticated(metadata, tokens, clock, rules, await openPasswordHash())
  }

  async user(name: string, password: string, groups: readonly string[] = []): Promise<void> {
    this.users.set(name, { name, hash: await hash(password, 4), groups })
  }

  /** What `/token` gives for a credential, for everything of one repository. */
  async bearer(header?: string, repository = 'team/app'): Promise<string> {
    const { token } = await this.tokenServer.issue({
      credential: header === undefined ? { type: 'none' } : { type: 'authorization', header },
      scopes: [{ type: 'repository', name: repository, actions: ['pull', 'push', 'delete'] }],
      offline: false,
      source: '192.0.2.1'
    })
    return `Bearer ${token}`
  }

  close(): Promise<void> {
    return this.metadata.close()
  }
}

export const usersPushAndPull: AccessPolicy['rules'] = [
  { subject: { kind: 'user' }, pattern: parsePattern('**'), actions: new Set(['pull', 'push']) }
]
