import { parsePattern } from './pattern.ts'
import type { TokenRecord } from './ports.ts'
import type { Subject } from './subject.ts'

/** A token as it is kept in memory. */
export interface Held {
  readonly record: TokenRecord
  /** Of an access token; the same object as long as the token is there. */
  readonly subject: Subject
}

/** All tokens, by everything that they are asked for by. */
export class TokenIndex {
  readonly #byId = new Map<string, Held>()
  readonly #byHash = new Map<string, Held>()
  /** Access tokens only. */
  readonly #byName = new Map<string, Held>()
  /** Sessions by user, the one used longest ago first. */
  readonly #sessions = new Map<string, Set<Held>>()

  /** Names of access tokens. */
  get names(): ReadonlyMap<string, Held> {
    return this.#byName
  }

  /** Users with sessions, and these, the one used longest ago first. */
  get sessions(): ReadonlyMap<string, ReadonlySet<Held>> {
    return this.#sessions
  }

  byId(id: string): Held | undefined {
    return this.#byId.get(id)
  }

  byHash(hash: string): Held | undefined {
    return this.#byHash.get(hash)
  }

  add(record: TokenRecord): void {
    const held = { record, subject: subjectOf(record) }
    this.#byId.set(record.id, held)
    this.#byHash.set(record.hash, held)
    if (record.kind === 'access') this.#byName.set(record.name, held)
    else if (record.user !== undefined) {
      const sessions = this.#sessions.get(record.user.name) ?? new Set()
      this.#sessions.set(record.user.name, sessions.add(held))
    }
  }

  delete(held: Held): void {
    const { id, hash, kind, name, user } = held.record
    this.#byId.delete(id)
    this.#byHash.delete(hash)
    if (kind === 'access') this.#byName.delete(name)
    const sessions = user === undefined ? undefined : this.#sessions.get(user.name)
    sessions?.delete(held)
    if (user !== undefined && sessions?.size === 0) this.#sessions.delete(user.name)
  }

  /** A session was used: it is the last of its user's to be dropped. */
  moveLast(id: string): void {
    const held = this.#byId.get(id)
    const sessions = this.#sessions.get(held?.record.user?.name ?? '')
    if (held !== undefined && sessions?.delete(held)) sessions.add(held)
  }
}

function subjectOf({ id, name, grants }: TokenRecord): Subject {
  return {
    kind: 'token',
    id,
    name,
    grants: grants.map(grant => ({ pattern: parsePattern(grant.repositories), actions: new Set(grant.actions) }))
  }
}
