import { X509Certificate } from 'node:crypto'

/** ms; the first pause after a failure, and the longest. Five failed validations an hour are what Let's Encrypt bears. */
const firstPause = 60_000
const longestPause = 12 * 3600_000

/**
 * When a certificate is to be renewed: at two thirds of its life, and up to a fiftieth of it earlier, so that many nodes do not come at
 * once. ms since the epoch.
 */
export function renewalTime(chain: string, random: () => number = Math.random): number {
  const { validFromDate, validToDate } = new X509Certificate(chain)
  const life = validToDate.getTime() - validFromDate.getTime()
  return validFromDate.getTime() + Math.floor(life * (2 / 3 - random() / 50))
}

export interface Failure {
  /** How many in a row, this one too. */
  failures: number
  /** ms since the epoch. */
  now: number
  /** When the authority wants to be asked again, where it said so. */
  retryAt?: number | undefined
}

/** When to try again: 1 minute, 5, 25, … 12 hours, a fifth more or less, and never before the authority wants it. */
export function retryTime({ failures, now, retryAt = 0 }: Failure, random: () => number = Math.random): number {
  const pause = Math.min(longestPause, firstPause * 5 ** (failures - 1)) * (0.8 + 0.4 * random())
  return Math.max(now + Math.floor(pause), retryAt)
}
