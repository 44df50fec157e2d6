import { RegistryError } from '../errors.ts'
import { networkOf } from './back-off-source.ts'
import type { Clock } from './ports.ts'
import { Remembered } from './remembered.ts'

export interface BackOffComponents {
  clock: Clock
}

export interface BackOffInit {
  /** Failures that cost nothing: people mistype. Default 5 for an account from one source, 20 for a source. */
  free?: { account: number; source: number }
  /** ms, doubled with every further failure. Default 1 s. */
  baseMs?: number
  /** ms. Default 5 minutes for an account from one source, 1 minute for a source. */
  longestMs?: { account: number; source: number }
  /** ms without a failure after which all is forgotten. Default 15 minutes. */
  forgetMs?: number
  /** Passwords of one source checked at once. Default 16. */
  underWay?: number
  /** Failures of an account over all sources after which strangers' attempts are spaced. Default 50. */
  spread?: number
  /** Sources, accounts and pairs remembered, of each. Default 10,000. */
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
  underWay: number
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
 * - of a source, whatever accounts it tries: up to a minute, and not for an account that has signed in from there, so
 *   that a neighbour behind the same address locks out nobody;
 * - of an account over all sources: strangers' attempts are spaced by a second and no more, since anybody could make
 *   them; sources from which it has signed in are no strangers.
 *
 * Bearer and own tokens are never counted: their secrets cannot be guessed, and a robot with a removed token must not
 * turn away everybody behind its address.
 */
export class BackOff {
  readonly #clock: Clock
  readonly #init: Required<BackOffInit>
  readonly #pairs: Remembered<Count>
  readonly #sources: Remembered<Count>
  readonly #accounts: Remembered<Count>
  /** Pairs that have signed in. */
  readonly #known: Remembered<true>

  constructor(components: BackOffComponents, init: BackOffInit = {}) {
    this.#clock = components.clock
    this.#init = {
      free: init.free ?? { account: 5, source: 20 },
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
    const now = this.#clock.now()
    const pair = this.#count(this.#pairs, key, now)
    const source = this.#count(this.#sources, network, now)
    const account = this.#count(this.#accounts, name, now)
    const known = this.#known.get(key) !== undefined
    const { free } = this.#init

    if (pair.until > now) refuse(pair, pair.until - now)
    // Past the free ones, one at a time: otherwise a hundred guesses at once would all come before the first failure.
    if (pair.underWay > 0 && pair.failures + pair.underWay >= free.account) refuse(pair, 1000)
    if (source.underWay >= this.#init.underWay) refuse(source, 1000)
    if (!known && source.until > now) refuse(source, source.until - now)
    if (!known && account.until > now) refuse(account, account.until - now)
    if (!known && account.failures >= this.#init.spread) account.until = now + strangersApart

    const counts = [pair, source]
    for (const count of counts) count.underWay++
    const end = () => {
      for (const count of counts) count.underWay--
    }
    return {
      succeeded: () => {
        end()
        this.#pairs.delete(key)
        this.#known.set(key, true)
      },
      failed: () => {
        end()
        this.#fail(pair, free.account, this.#init.longestMs.account)
        this.#fail(source, free.source, this.#init.longestMs.source)
        this.#fail(account, Number.POSITIVE_INFINITY, 0)
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

  #count(counts: Remembered<Count>, key: string, now: number): Count {
    const present = counts.get(key)
    if (present !== undefined && (present.underWay > 0 || now - present.failedAt < this.#init.forgetMs)) return present
    const fresh = { failures: 0, failedAt: now, until: 0, underWay: 0, refused: 0 }
    counts.set(key, fresh)
    return fresh
  }

  #fail(count: Count, free: number, longest: number): void {
    const now = this.#clock.now()
    count.failures++
    count.failedAt = now
    count.refused = 0
    if (count.failures < free) return
    count.until = now + Math.min(longest, this.#init.baseMs * 2 ** Math.min(30, count.failures - free))
  }
}

function refuse(count: Count, ms: number): never {
  count.refused++
  const seconds = Math.max(1, Math.ceil(ms / 1000))
  throw new RegistryError('TOOMANYREQUESTS', {
    message: `too many attempts to sign in with a wrong password: try again in ${seconds} s`,
    headers: { 'Retry-After': String(seconds) }
  })
}
