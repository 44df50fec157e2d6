import type { Clock } from '../ports.ts'
import { type FetchQuota, FetchWindow } from './fetch-window.ts'
import type { QuotaOf } from './quota.ts'
import { fetchedEnough, fetchTooLarge } from './refusals.ts'

/** What the quotas say about fetching for one repository. */
export class FetchBudget {
  /** The same for repositories that share what they may have fetched, also in the next process. */
  readonly name: string
  readonly #windows: readonly FetchWindow[]

  constructor(windows: readonly FetchWindow[]) {
    this.name = windows.map(({ quota }) => quota.patterns).join(' ')
    this.#windows = windows
  }

  /**
   * Asked before a fetch.
   *
   * @param needed bytes still to come; one, where nobody knows
   * @throws {RegistryError} TOOMANYREQUESTS with Retry-After, BLOB_TOO_LARGE when no wait would help
   */
  ask(needed: number): void {
    for (const window of this.#windows) this.#refuse(window, needed)
  }

  /**
   * Told of bytes that came, whatever becomes of them.
   *
   * @param needed bytes to come once more when the fetch is stopped here
   * @throws {RegistryError} as {@link ask}, when these are too many
   */
  count(bytes: number, needed: number): void {
    for (const window of this.#windows) window.add(bytes)
    for (const window of this.#windows) if (window.used > window.quota.bytes) this.#refuse(window, needed)
  }

  #refuse(window: FetchWindow, needed: number): void {
    const wait = window.waitFor(needed)
    if (wait === 0) return
    throw wait === Number.POSITIVE_INFINITY ? fetchTooLarge(window.quota, needed) : fetchedEnough(window.quota, wait)
  }
}

/** What was fetched lately for the repositories of each quota; as many windows as the configuration has. */
export class FetchBudgets {
  readonly #clock: Clock
  readonly #quotaOf: QuotaOf | undefined
  readonly #windows = new Map<FetchQuota, FetchWindow>()

  constructor(clock: Clock, quotaOf: QuotaOf | undefined) {
    this.#clock = clock
    this.#quotaOf = quotaOf
  }

  /** `undefined` where fetching is not limited. */
  of(repository: string): FetchBudget | undefined {
    const quotas = this.#quotaOf?.(repository)?.fetch
    return quotas && new FetchBudget(quotas.map(quota => this.#window(quota)))
  }

  #window(quota: FetchQuota): FetchWindow {
    const window = this.#windows.get(quota) ?? new FetchWindow(this.#clock, quota)
    this.#windows.set(quota, window)
    return window
  }
}
