import { createHash } from 'node:crypto'
import type { Digest } from '../../oci/digest.ts'
import type { AbortOptions } from '../ports.ts'
import type { FetchBudget } from '../quotas/fetch-budgets.ts'
import { notYet, stopping } from './unavailable.ts'
import { late, within } from './within.ts'

export interface FlightInit {
  /** Who asks for this shares the flight. */
  key: string
  digest: Digest
  /** In whose name sources are asked, and who gets the blob. */
  repository: string
  /** Bytes, by the word of a manifest. */
  size: number | undefined
  /** What the bytes count against, once however many wait. */
  budget: FetchBudget | undefined
}

/** How a flight ended; the blob is linked then. */
export type Outcome = 'committed' | { error: unknown }

/** Somebody who waits for a flight's bytes; {@link leave} is owed. */
export interface Passenger {
  readonly flight: Flight
  /** The flight goes on for at least this long, ms. */
  leave(lingerMs: number): void
}

/**
 * One fetch of one blob as those see it who wait for it: how far it is, and how it ended. It is stopped when nobody has
 * been waiting for a while.
 */
export class Flight {
  readonly key: string
  readonly digest: Digest
  readonly repository: string
  readonly size: number | undefined
  readonly budget: FetchBudget | undefined
  /** Name of the upload session that stages the bytes; the same after a restart, so that the fetch is resumed. */
  readonly uploadId: string
  /** Every repository that waited. */
  readonly repositories = new Set<string>()
  /** Bytes in the staged file, seen from the moment a source is supplying more. Unverified. */
  staged = 0
  /** Grows when staged bytes were thrown away: what was read before belongs to no blob. */
  generation = 0
  /** The blob's size once all of it hashes to the digest. */
  verified: number | undefined
  outcome: Outcome | undefined
  readonly #stop = new AbortController()
  #change = Promise.withResolvers<void>()
  #passengers = 0
  #keptUntil = 0
  #timer: NodeJS.Timeout | undefined

  constructor(init: FlightInit) {
    this.key = init.key
    this.digest = init.digest
    this.repository = init.repository
    this.size = init.size
    this.budget = init.budget
    this.uploadId = `fetch-${createHash('sha256').update(init.key).digest('hex')}`
  }

  /** Aborted when nobody waits any more, or the registry stops. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  join(repository: string): Passenger {
    this.repositories.add(repository)
    this.#passengers++
    clearTimeout(this.#timer)
    let aboard = true
    const leave = (lingerMs: number) => {
      if (!aboard) return
      aboard = false
      this.#keptUntil = Math.max(this.#keptUntil, performance.now() + lingerMs)
      if (--this.#passengers > 0 || this.outcome !== undefined) return
      this.#timer = setTimeout(() => this.stop(), Math.max(0, this.#keptUntil - performance.now()))
      this.#timer.unref()
    }
    return { flight: this, leave }
  }

  stop(): void {
    this.#stop.abort(stopping(this.digest))
  }

  arrived(staged: number): void {
    this.staged = staged
    this.#changed()
  }

  dropped(): void {
    this.generation++
    this.staged = 0
    this.#changed()
  }

  provedSound(size: number): void {
    this.verified = size
    this.staged = size
    this.#changed()
  }

  settle(outcome: Outcome): void {
    clearTimeout(this.#timer)
    this.outcome = outcome
    this.#changed()
  }

  /**
   * Waits until `reached` holds. Without a deadline as long as it takes.
   *
   * @param deadline - by `performance.now()`
   * @throws {RegistryError} UNAVAILABLE with Retry-After at the deadline
   */
  async until(reached: () => boolean, deadline?: number, options?: AbortOptions): Promise<void> {
    while (!reached()) {
      const patience = deadline === undefined ? 0x7fffffff : deadline - performance.now()
      const change = await within(this.#change.promise, patience, options?.signal)
      if (change === late && !reached()) throw notYet(this.digest)
    }
  }

  #changed(): void {
    const { resolve } = this.#change
    this.#change = Promise.withResolvers<void>()
    resolve()
  }
}
