import { RegistryError } from '../errors.ts'
import { credentialOf, hashOfSecret } from './fingerprint.ts'
import { checkNewToken, type NewToken, refused } from './new-token.ts'
import { createSecret, createTokenId } from './own-tokens-format.ts'
import { type Held, TokenIndex } from './own-tokens-index.ts'
import type { Clock, PasswordEntry, TokenRecord, TokenStore } from './ports.ts'
import type { Subject } from './subject.ts'

export interface OwnTokensComponents {
  store: TokenStore
  clock: Clock
}

export interface OwnTokensInit {
  /** Tokens made by the operator. Default 10,000. */
  limit?: number
  /** Sessions of one user; the one unused for longest goes. Default 64. */
  sessionsPerUser?: number
  /** ms a session lives after its last use. Default 90 days. */
  sessionLifetimeMs?: number
}

/** What is told of a token: everything but its hash. */
export type TokenSummary = Omit<TokenRecord, 'hash'>

const day = 24 * 60 * 60 * 1000

/**
 * This node's own tokens. All are in memory and the store follows: no other process writes while this one has the
 * folder, so what memory says is what holds, from the moment a change was made durable.
 */
export class OwnTokens {
  readonly #components: OwnTokensComponents
  readonly #limit: number
  readonly #sessionsPerUser: number
  readonly #sessionLifetimeMs: number
  readonly #index = new TokenIndex()
  /** Sessions taken away, and when, ms since epoch: what was issued for one lives minutes longer. */
  readonly #removed = new Map<string, number>()
  #changing: Promise<unknown> = Promise.resolve()

  /** Use {@link openOwnTokens}. */
  constructor(components: OwnTokensComponents, init: OwnTokensInit = {}) {
    this.#components = components
    this.#limit = init.limit ?? 10_000
    this.#sessionsPerUser = init.sessionsPerUser ?? 64
    this.#sessionLifetimeMs = init.sessionLifetimeMs ?? 90 * day
  }

  async open(): Promise<void> {
    const records: TokenRecord[] = []
    for await (const record of this.#components.store.list()) records.push(record)
    const over = new Set(records.filter(record => record.kind === 'refresh' && this.isExpired(record)))
    // At once, so that they share a sync.
    await Promise.all([...over].map(({ id }) => this.#components.store.delete(id)))
    for (const record of records.sort((one, other) => (one.expiresAt ?? 0) - (other.expiresAt ?? 0))) {
      if (!over.has(record)) this.#index.add(record)
    }
  }

  /**
   * Makes a token and returns its secret, which nobody can learn again.
   *
   * @throws {RegistryError} REQUEST_INVALID or NAME_INVALID naming what is wrong; STORAGE_FULL
   */
  create(wanted: NewToken): Promise<{ token: string; record: TokenSummary }> {
    return this.#change(async () => {
      this.#check(wanted)
      const { name, grants, expiresAt } = wanted
      const { token, record } = this.#record('access', {
        id: createTokenId(),
        name,
        grants: grants.map(grant => ({ repositories: grant.repositories, actions: [...grant.actions] })),
        ...(expiresAt === undefined ? {} : { expiresAt })
      })
      await this.#keep(record)
      return { token, record: summaryOf(record) }
    })
  }

  /** Tokens made by the operator, in byte order of their names, also those that have expired. */
  list(): TokenSummary[] {
    return [...this.#index.names.keys()].sort().flatMap(name => {
      const held = this.#index.names.get(name)
      return held === undefined ? [] : [summaryOf(held.record)]
    })
  }

  /** What clients keep instead of a password, by user; of one user the session used longest ago first. */
  *sessions(): Generator<TokenSummary> {
    for (const user of [...this.#index.sessions.keys()].sort()) {
      // A copy: one that is used meanwhile goes to the end, and would come again.
      for (const { record } of [...(this.#index.sessions.get(user) ?? [])]) yield summaryOf(record)
    }
  }

  /**
   * Takes a token away, from the next request on.
   *
   * @param nameOrId - name or ID of a token made by the operator, or the ID of a session
   * @throws {RegistryError} NOT_FOUND
   */
  remove(nameOrId: string): Promise<TokenSummary> {
    return this.#change(async () => {
      const held = this.#index.names.get(nameOrId) ?? this.#index.byId(nameOrId)
      if (held === undefined) {
        throw new RegistryError('NOT_FOUND', {
          message: `there is no token ${showName(nameOrId)}: "pinnace token ls" lists those there are`
        })
      }
      await this.#drop(held)
      if (held.record.kind === 'refresh') this.#noteRemoval(held.record.id)
      return summaryOf(held.record)
    })
  }

  /** Who holds this token at this moment; `undefined` when it was removed or its time is over. */
  subject(id: string): Subject | undefined {
    const held = this.#index.byId(id)
    return held === undefined || held.record.kind !== 'access' || this.isExpired(held.record) ? undefined : held.subject
  }

  /** The token with this secret, expired or not. */
  find(secret: string): TokenSummary | undefined {
    // A hash of 160 random bits: how long the look-up takes tells nothing that helps to guess them.
    const held = this.#index.byHash(hashOfSecret(secret))
    return held === undefined ? undefined : summaryOf(held.record)
  }

  /** Whether the token's time is over. */
  isExpired({ expiresAt }: TokenSummary): boolean {
    return expiresAt !== undefined && expiresAt <= this.#components.clock.now()
  }

  /**
   * Starts a session of a user: the secret stands for the password until that changes, or nobody uses it for 90 days.
   *
   * @param id - what {@link createTokenId} gave, for whom it is too late to learn it from here
   */
  startSession(user: PasswordEntry, id = createTokenId()): Promise<string> {
    return this.#change(async () => {
      const { token, record } = this.#record('refresh', {
        id,
        name: user.name,
        grants: [],
        user: { name: user.name, credential: credentialOf(user) },
        expiresAt: this.#components.clock.now() + this.#sessionLifetimeMs
      })
      const [oldest] = this.#index.sessions.get(user.name) ?? []
      if (oldest !== undefined && (this.#index.sessions.get(user.name)?.size ?? 0) >= this.#sessionsPerUser)
        await this.#drop(oldest)
      await this.#keep(record)
      return token
    })
  }

  /** Whether a session was taken away; one that made place for others, or whose time is over, was not. */
  wasRemoved(sessionId: string): boolean {
    return this.#removed.has(sessionId)
  }

  /** A session was used. Written once a day at most, since a pull should cost no sync. */
  async useSession(id: string): Promise<void> {
    this.#index.moveLast(id)
    const expiresAt = this.#components.clock.now() + this.#sessionLifetimeMs
    const due = (): Held | undefined => {
      const held = this.#index.byId(id)
      return held?.record.kind === 'refresh' && (held.record.expiresAt ?? 0) <= expiresAt - day ? held : undefined
    }
    if (due() === undefined) return
    await this.#change(async () => {
      const held = due()
      if (held === undefined) return
      const record = { ...held.record, expiresAt }
      await this.#components.store.put(record)
      this.#index.delete(held)
      this.#index.add(record)
    })
  }

  /** Ends a session. */
  async endSession(id: string): Promise<void> {
    await this.#change(async () => {
      const held = this.#index.byId(id)
      if (held?.record.kind === 'refresh') await this.#drop(held)
    })
  }

  #check(wanted: NewToken): void {
    checkNewToken(wanted, this.#components.clock.now())
    const { name } = wanted
    if (this.#index.names.has(name))
      throw refused(
        `there is a token named ${name} already: remove it with "pinnace token rm ${name}", or take another name`
      )
    if (this.#index.names.size >= this.#limit)
      throw refused(`there are ${this.#limit} tokens, and no more are kept: remove some with "pinnace token rm"`)
  }

  #record(
    kind: TokenRecord['kind'],
    rest: Pick<TokenRecord, 'id' | 'name' | 'grants' | 'user' | 'expiresAt'>
  ): { token: string; record: TokenRecord } {
    const token = createSecret(kind)
    const createdAt = this.#components.clock.now()
    return { token, record: { kind, hash: hashOfSecret(token), createdAt, ...rest } }
  }

  async #keep(record: TokenRecord): Promise<void> {
    await this.#components.store.put(record)
    this.#index.add(record)
  }

  async #drop(held: Held): Promise<void> {
    await this.#components.store.delete(held.record.id)
    this.#index.delete(held)
  }

  #noteRemoval(sessionId: string): void {
    const now = this.#components.clock.now()
    for (const [id, at] of this.#removed) if (at <= now - day) this.#removed.delete(id)
    this.#removed.set(sessionId, now)
  }

  /** One change after another: names stay unique and the bounds hold while one is being written. */
  #change<T>(step: () => Promise<T>): Promise<T> {
    const changed = this.#changing.then(step)
    this.#changing = changed.catch(() => undefined)
    return changed
  }
}

function summaryOf({ hash: _, ...rest }: TokenRecord): TokenSummary {
  return rest
}

/** Reads all tokens into memory; sessions that nobody used for too long are removed. */
export async function openOwnTokens(components: OwnTokensComponents, init: OwnTokensInit = {}): Promise<OwnTokens> {
  const tokens = new OwnTokens(components, init)
  await tokens.open()
  return tokens
}

/** What was typed, unless it may be a token itself. */
function showName(nameOrId: string): string {
  return /pinnacer?_/.test(nameOrId) ? 'of that name or ID (its secret is neither)' : JSON.stringify(nameOrId)
}
