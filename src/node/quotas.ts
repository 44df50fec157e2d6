import { parsePattern } from '../access/pattern.ts'
import type { Config } from '../config.ts'
import { type QuotaOf, type QuotaRule, quotasOf } from '../registry/quotas/quota.ts'

/** `quotas` as the use cases want it; `undefined` when nobody has one, so that nothing is even looked up. */
export function configuredQuotas(quotas: Config['quotas']): QuotaOf | undefined {
  const rules = quotas.flatMap(({ repositories, fetch, ...limits }) => {
    const shared = fetch && { fetch: { ...fetch, patterns: repositories.join(' and ') } }
    return repositories.map((text): QuotaRule => ({ ...limits, ...shared, pattern: parsePattern(text) }))
  })
  return rules.length === 0 ? undefined : quotasOf(rules)
}
