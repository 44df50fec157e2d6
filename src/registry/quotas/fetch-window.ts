import type { Clock } from '../ports.ts'

/** Parts that a window is counted in: how exactly it is known when bytes leave it. */
const slices = 60

/** What may be fetched in a while, for all repositories of a quota together. */
export interface FetchQuota {
  /** The patterns of those repositories, as they were written. */
  patterns: string
  /** Bytes. */
  bytes: number
  /** The last so many ms are what counts. */
  per: number
}

/**
 * The bytes of the last while. They count a sixtieth of it longer than that at most, never shorter; so the memory is the
 * same however many fetches there are.
 */
export class FetchWindow {
  readonly quota: FetchQuota
  readonly #clock: Clock
  readonly #width: number
  /** The oldest first; `until` is when they leave, ms since epoch. */
  readonly #slices: { until: number; bytes: number }[] = []
  #used = 0

  constructor(clock: Clock, quota: FetchQuota) {
    this.#clock = clock
    this.quota = quota
    this.#width = Math.max(1, Math.ceil(quota.per / slices))
  }

  get used(): number {
    this.#forget()
    return this.#used
  }

  add(bytes: number): void {
    const now = this.#forget()
    const until = (Math.floor(now / this.#width) + 1) * this.#width + this.quota.per
    const last = this.#slices.at(-1)
    if (last !== undefined && last.until >= until) last.bytes += bytes
    else this.#slices.push({ until, bytes })
    this.#used += bytes
  }

  /** ms until so many bytes fit when no others come before; infinite when they are more than ever do. */
  waitFor(bytes: number): number {
    const now = this.#forget()
    let over = this.#used + bytes - this.quota.bytes
    if (over <= 0) return 0
    for (const slice of this.#slices) {
      over -= slice.bytes
      if (over <= 0) return slice.until - now
    }
    return Number.POSITIVE_INFINITY
  }

  #forget(): number {
    const now = this.#clock.now()
    const latest = now + this.#width + this.quota.per
    // A clock that was set back must not make anybody wait longer than the window is.
    for (const slice of this.#slices) slice.until = Math.min(slice.until, latest)
    for (let first = this.#slices[0]; first !== undefined && first.until <= now; first = this.#slices[0]) {
      this.#used -= first.bytes
      this.#slices.shift()
    }
    return now
  }
}
