import { RegistryError } from '../errors.ts'
import { networkOf, siteOf } from './back-off-source.ts'
import type { Clock } from './ports.ts'
import { Remembered } from './remembered.ts'

export interface BackOffComponents {
  clock: Clock
}

export interface BackOffInit {
  /** Failures that cost nothing: people mistype. Default 5 for an account from one source, 20 for a source, 100 for a site. */
  free?: { account: number; source: number; site: number }
  /** ms, doubled with every further failure. Default 1 s. */
  baseMs?: number
  /** ms. Default 5 minutes for an account from one source, 1 minute for a source and for a site. */
  longestMs?: { account: number; source: number }
  /** ms without a failure after which all is forgotten. Default 15 minutes. */
  forgetMs?: number
  /** Passwords of one source checked at once. Default 16. */
  underWay?: number
  /** Failures of an account over all sources after which strangers' attempts are spaced. Default 50. */
  spread?: number
  /** Sources and sites, accounts, and pairs remembered, of each. Default 10,000. */
  limit?: number
}

/** One attempt to sign in. Exactly one of its ends is called. */
export interface Attempt {
  succeeded(): void
  failed(): void
  /** It came to nothing that says anything about the password. */
  abandoned(): void
}

interface Count {
  failures: number
  failedAt: number
  /** ms since epoch before which nothing is tried. */
  until: number
  /** Attempts turned away since `until` was set. */
  refused: number
}

/** Attempts turned away before a password remembered as right is turned away too. */
const guesses = 20
/** Strangers' attempts on an account under attack are at least so many ms apart. */
const strangersApart = 1000

/**
 * Slows down guessing of passwords. Three counts, all bounded:
 *
 * - of an account from one source: the usual case, exponential up to 5 minutes;
 * - of a source, whatever accounts it tries, and of the IPv6 site that it is in: up to a minute, and not for an account
 *   that has signed in from there, so that a neighbour behind the same address locks out nobody;
 * - of an account over all sources: strangers' attempts are spaced by a second and no more, since anybody could make
 *   them; sources from which it has signed in are no strangers.
 *
 * Bearer and own tokens are never counted: their secrets cannot be guessed, and a robot with a removed token must not
 * turn away everybody behind its address.
 *
 * What is bounded forgets something for each thing it is told, so it is told of failures only: each of them cost a hash,
 * and whoever is turned away can make nothing forgotten, whatever names he tries.
 */
export class BackOff {
  readonly #clock: Clock
  readonly #init: Required<BackOffInit>
  readonly #pairs: Remembered<Count>
  readonly #sources: Remembered<Count>
  readonly #accounts: Remembered<Count>
  /** Pairs that have signed in. */
  readonly #known: Remembered<true>
  /** Attempts being checked, of pairs and of sources. */
  readonly #underWay = { pairs: new Map<string, number>(), sources: new Map<string, number>() }

  constructor(components: BackOffComponents, init: BackOffInit = {}) {
    this.#clock = components.clock
    this.#init = {
      free: init.free ?? { account: 5, source: 20, site: 100 },
      baseMs: init.baseMs ?? 1000,
      longestMs: init.longestMs ?? { account: 5 * 60_000, source: 60_000 },
      forgetMs: init.forgetMs ?? 15 * 60_000,
      underWay: init.underWay ?? 16,
      spread: init.spread ?? 50,
      limit: init.limit ?? 10_000
    }
    const { limit } = this.#init
    this.#pairs = new Remembered(limit)
    this.#sources = new Remembered(limit)
    this.#accounts = new Remembered(limit)
    this.#known = new Remembered(limit)
  }

  /** @throws {RegistryError} TOOMANYREQUESTS with `Retry-After` */
  begin(address: string, name: string): Attempt {
    const network = networkOf(address)
    const key = `${network} ${name}`
    this.#admit(network, key, name)
    const { pairs, sources } = this.#underWay
    add(pairs, key, 1)
    add(sources, network, 1)
    const end = () => {
      add(pairs, key, -1)
      add(sources, network, -1)
    }
    const { free, longestMs } = this.#init
    return {
      succeeded: () => {
        end()
        this.#pairs.delete(key)
        this.#known.set(key, true)
      },
      failed: () => {
        end()
        this.#fail(this.#pairs, key, free.account, longestMs.account)
        this.#fail(this.#sources, network, free.source, longestMs.source)
        const site = siteOf(network)
        if (site !== undefined) this.#fail(this.#sources, site, free.site, longestMs.source)
        this.#fail(this.#accounts, name, Number.POSITIVE_INFINITY, 0)
      },
      abandoned: end
    }
  }

  /**
   * Whether even the right password is turned away now, though it is remembered and would cost nothing to check: a
   * guesser at the same address would otherwise go on at full speed and see the one that is let in.
   */
  closed(address: string, name: string): boolean {
    const pair = this.#pairs.get(`${networkOf(address)} ${name}`)
    return pair !== undefined && pair.refused > guesses && pair.until > this.#clock.now()
  }

  #admit(network: string, key: string, name: string): void {
    const now = this.#clock.now()
    const pair = this.#recent(this.#pairs, key, now)
    if (pair !== undefined && pair.until > now) {
      pair.refused++
      refuse(pair.until - now)
    }
    // Past the free ones, one at a time: otherwise a hundred guesses at once would all come before the first failure.
    const underWay = this.#underWay.pairs.get(key) ?? 0
    if (underWay > 0 && (pair?.failures ?? 0) + underWay >= this.#init.free.account) refuse(1000)
    if ((this.#underWay.sources.get(network) ?? 0) >= this.#init.underWay) refuse(1000)
    if (this.#known.get(key) !== undefined) return
    for (const place of [network, siteOf(network) ?? network]) {
      const source = this.#recent(this.#sources, place, now)
      if (source !== undefined && source.until > now) refuse(source.until - now)
    }
    const account = this.#recent(this.#accounts, name, now)
    if (account === undefined || account.failures < this.#init.spread) return
    if (account.until > now) refuse(account.until - now)
    account.until = now + strangersApart
  }

  /** Failures that are not yet forgotten. */
  #recent(counts: Remembered<Count>, key: string, now: number): Count | undefined {
    const count = counts.get(key)
    return count === undefined || now - count.failedAt >= this.#init.forgetMs ? undefined : count
  }

  #fail(counts: Remembered<Count>, key: string, free: number, longest: number): void {
    const now = this.#clock.now()
    const before = this.#recent(counts, key, now)
    const failures = (before?.failures ?? 0) + 1
    const wait = failures < free ? undefined : Math.min(longest, this.#init.baseMs * 2 ** Math.min(30, failures - free))
    const until = wait === undefined ? (before?.until ?? 0) : now + wait
    counts.set(key, { failures, failedAt: now, until, refused: 0 })
  }
}

/** What is at nothing is not kept. */
function add(counts: Map<string, number>, key: string, change: number): void {
  const count = (counts.get(key) ?? 0) + change
  if (count > 0) counts.set(key, count)
  else counts.delete(key)
}

function refuse(ms: number): never {
  const seconds = Math.max(1, Math.ceil(ms / 1000))
  throw new RegistryError('TOOMANYREQUESTS', {
    message: `too many attempts to sign in with a wrong password: try again in ${seconds} s`,
    headers: { 'Retry-After': String(seconds) }
  })
}
