import type { FetchBudget } from '../quotas/fetch-budgets.ts'

/** Keeps what ends a whole fetch, a failure of this disk or a quota, apart from a failure of one source. */
export class Ending extends Error {
  constructor(cause: unknown) {
    super('the fetch is over', { cause })
  }
}

/**
 * Counts what a source brings.
 *
 * @param missing bytes still to come, without those that are being counted
 */
export function countOn(budget: FetchBudget | undefined, missing: () => number): (bytes: number) => void {
  return bytes => {
    try {
      budget?.count(bytes, missing())
    } catch (error) {
      throw new Ending(error)
    }
  }
}
