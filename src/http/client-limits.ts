import { networkOf } from '../access/back-off-source.ts'
import { type Subject, showSubject } from '../access/subject.ts'
import { RegistryError } from '../errors.ts'
import type { AbortOptions } from '../registry/ports.ts'
import { Slots } from './slots.ts'
import type { Client } from './source.ts'

export interface ClientLimitsInit {
  /** Requests a second in the long run; 0 is any number. Default 0. */
  rate?: number
  /** Requests that may come at once before the rate counts. Default 1000. */
  burst?: number
  /** Requests being answered at once; 0 is any number. Default 1024. */
  requests?: number
  /** Request bodies being read at once; more wait; 0 is any number. Default 128. */
  uploads?: number
  /** Clients remembered while they do nothing. Default 10,000. */
  clients?: number
}

/** Which of the limits a request ran into. */
export type Limit = 'rate' | 'requests' | 'uploads'

export interface ClientLimitsComponents {
  /** ms, never going back. */
  now(): number
  /** Told of every request that was too much. */
  limited?(limit: Limit): void
}

/** A request that was let in. */
export interface Visit {
  /** Waits for one of the client's turns to have a body read. @returns what gives the turn back; `undefined` when none came */
  takeUpload(waitMs: number, options?: AbortOptions): Promise<(() => void) | undefined>
  /** The request is over. */
  leave(): void
}

interface Account {
  /** When the bucket is full again, ms. */
  fullAt: number
  requests: number
  uploads: Slots | undefined
}

/** Looked at for one that can be forgotten, before another client is remembered. */
const sweep = 64

/**
 * What one client may take of the node: a client is whoever signed in, else an address, or the /64 network that all belong
 * to one host's owner under IPv6. Rate by a token bucket, kept as the time when it is full (GCRA), so that a client costs one
 * number. This machine itself is not bounded: who is on it has other ways, and a proxy that names no client is no client.
 */
export class ClientLimits {
  readonly #components: ClientLimitsComponents
  readonly #init: Required<ClientLimitsInit>
  readonly #accounts = new Map<string, Account>()

  constructor(components: ClientLimitsComponents, init: ClientLimitsInit = {}) {
    this.#components = components
    this.#init = { rate: 0, burst: 1000, requests: 1024, uploads: 128, clients: 10_000, ...init }
  }

  /** Clients remembered. */
  get size(): number {
    return this.#accounts.size
  }

  /**
   * Counts a request. To be called once for each, as soon as it is known who makes it.
   *
   * @returns `undefined` for a client without limits
   * @throws {RegistryError} TOOMANYREQUESTS with the `Retry-After` after which the next one is let in
   */
  admit(client: Client, subject: Subject | undefined): Visit | undefined {
    const { rate, requests, uploads } = this.#init
    if (isThisMachine(client.address) || rate + requests + uploads === 0) return undefined
    const key = keyOf(client, subject)
    const account = this.#accounts.get(key) ?? this.#open(key)
    if (requests > 0 && account.requests >= requests) {
      throw this.#refusal('requests', `${requests} requests of ${key} are being answered already`, 1)
    }
    this.#charge(key, account)
    account.requests++
    return {
      takeUpload: (waitMs, options) => takeUpload(account, uploads, waitMs, options),
      leave: () => {
        account.requests--
        if (this.#isForgettable(account)) this.#accounts.delete(key)
      }
    }
  }

  /** What a visit throws whose body got no turn. */
  uploadRefusal(): RegistryError {
    return this.#refusal('uploads', `${this.#init.uploads} uploads of one client are going on already`, 5)
  }

  #charge(key: string, account: Account): void {
    const { rate, burst } = this.#init
    if (rate === 0) return
    const now = this.#components.now()
    const each = 1000 / rate
    const fullAt = Math.max(account.fullAt, now) + each
    const early = fullAt - burst * each - now
    // A float's last digit must not tell somebody to wait who waited long enough.
    if (early > 1e-6) {
      throw this.#refusal('rate', `${key} made more than ${rate} requests a second`, Math.ceil(early / 1000))
    }
    account.fullAt = fullAt
  }

  #refusal(limit: Limit, what: string, seconds: number): RegistryError {
    this.#components.limited?.(limit)
    return new RegistryError('TOOMANYREQUESTS', {
      message: `${what}: try again in ${seconds} s (ipfs.limits.client.${limit})`,
      headers: { 'Retry-After': String(seconds) }
    })
  }

  #open(key: string): Account {
    if (this.#accounts.size >= this.#init.clients) this.#makeRoom()
    const account = { fullAt: 0, requests: 0, uploads: undefined }
    this.#accounts.set(key, account)
    return account
  }

  /** Whoever is being answered stays: there are never more of them than connections. */
  #makeRoom(): void {
    let idle: string | undefined
    let looked = 0
    for (const [key, account] of this.#accounts) {
      if (this.#isForgettable(account)) this.#accounts.delete(key)
      else if (account.requests === 0) idle ??= key
      if (++looked >= sweep && (idle !== undefined || this.#accounts.size < this.#init.clients)) break
    }
    if (this.#accounts.size >= this.#init.clients && idle !== undefined) this.#accounts.delete(idle)
  }

  #isForgettable({ requests, fullAt }: Account): boolean {
    return requests === 0 && (this.#init.rate === 0 || fullAt <= this.#components.now())
  }
}

async function takeUpload(account: Account, limit: number, waitMs: number, options?: AbortOptions) {
  if (limit === 0) return () => undefined
  account.uploads ??= new Slots(limit)
  const slots = account.uploads
  return (await slots.take(waitMs, options)) ? () => slots.release() : undefined
}

/** Whoever signed in is one client wherever, so that neighbours behind one address do not share its limits. */
function keyOf({ address }: Client, subject: Subject | undefined): string {
  return subject === undefined || subject.kind === 'anonymous' ? networkOf(address) : showSubject(subject)
}

/** Of an address as a client, or a socket, has it; a unix socket's is empty. */
export function isThisMachine(address: string): boolean {
  return address === '' || address === '::1' || /^(?:::ffff:)?127\./i.test(address)
}
