import type { RepositoryPattern } from '../../access/pattern.ts'

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
}

/** What holds for one repository. */
export interface Quota extends QuotaLimits {
  /** The pattern it comes from, as it was written, for messages. */
  pattern: string
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

function quota({ pattern, ...limits }: QuotaRule): Quota {
  return { ...limits, pattern: pattern.text }
}

function tighter(a: Quota, b: QuotaRule): Quota {
  const both: Quota = { pattern: a.pattern === b.pattern.text ? a.pattern : `${a.pattern} and ${b.pattern.text}` }
  for (const key of ['blob', 'size', 'uploads'] as const) {
    const limit = Math.min(a[key] ?? Number.POSITIVE_INFINITY, b[key] ?? Number.POSITIVE_INFINITY)
    if (limit !== Number.POSITIVE_INFINITY) both[key] = limit
  }
  return both
}
