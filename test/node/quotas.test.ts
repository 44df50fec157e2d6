import { expect, it } from 'vitest'
import { configuredQuotas } from '../../src/node/quotas.ts'

it('what may be fetched is shared by all patterns of an entry, the others are not', () => {
  const fetch = { bytes: 50, per: 1000 }
  const quotaOf = configuredQuotas([
    { repositories: ['team/**', 'lab/**'], fetch, blob: 1 },
    { repositories: ['team/own'], blob: 2 },
    { repositories: ['**'], fetch }
  ])
  const [shared] = quotaOf?.('team/app')?.fetch ?? []
  expect(quotaOf?.('team/app')).toEqual({
    pattern: 'team/**',
    blob: 1,
    fetch: [{ patterns: 'team/** and lab/**', bytes: 50, per: 1000 }]
  })
  expect(quotaOf?.('lab/app')?.fetch?.[0]).toBe(shared)
  expect(quotaOf?.('team/own')).toEqual({ pattern: 'team/own', blob: 2 })
  expect(quotaOf?.('other')?.fetch?.[0]).not.toBe(shared)
})
