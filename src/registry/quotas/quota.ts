import type { RepositoryPattern } from '../../access/pattern.ts'
import type { FetchQuota } from './fetch-window.ts'

/** Limits of each repository by itself; absent: none. */
export interface QuotaLimits {
  /** Bytes of the largest blob. */
  blob?: number
  /** Bytes of all blobs and manifests together, each digest once. */
  size?: number
  /** Upload sessions open at once. */
  uploads?: number
}

export interface QuotaRule extends QuotaLimits {
  pattern: RepositoryPattern
  /** Of all repositories together that match this rule, or another one with the very same object. */
  fetch?: FetchQuota
}

/** What holds for one repository. */
export interface Quota extends QuotaLimits {
  /** The pattern it comes from, as it was written, for messages. */
  pattern: string
  /** All of them count. */
  fetch?: readonly FetchQuota[]
}

/** The quota of a repository; `undefined` where nothing is limited. */
export type QuotaOf = (repository: string) => Quota | undefined

/** The rule with the most specific pattern decides alone; of several as specific as each other, the tightest limits. */
export function quotasOf(rules: readonly QuotaRule[]): QuotaOf {
  const sorted = rules.toSorted((a, b) => b.pattern.specificity - a.pattern.specificity)
  return repository => {
    const matching = sorted.filter(rule => rule.pattern.matches(repository))
    const most = matching[0]?.pattern.specificity
    const [first, ...rest] = matching.filter(rule => rule.pattern.specificity === most)
    return first === undefined ? undefined : rest.reduce(tighter, quota(first))
  }
}

function quota({ pattern, fetch, ...limits }: QuotaRule): Quota {
  return { ...limits, pattern: pattern.text, ...(fetch && { fetch: [fetch] }) }
}

function tighter(a: Quota, b: QuotaRule): Quota {
  const both: Quota = { pattern: a.pattern === b.pattern.text ? a.pattern : `${a.pattern} and ${b.pattern.text}` }
  for (const key of ['blob', 'size', 'uploads'] as const) {
    const limit = Math.min(a[key] ?? Number.POSITIVE_INFINITY, b[key] ?? Number.POSITIVE_INFINITY)
    if (limit !== Number.POSITIVE_INFINITY) both[key] = limit
  }
  const fetch = new Set([...(a.fetch ?? []), ...(b.fetch ? [b.fetch] : [])])
  if (fetch.size > 0) both.fetch = [...fetch]
  return both
}
