import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FetchWindow } from '../../src/registry/quotas/fetch-window.ts'

const quota = { patterns: '**', bytes: 1_000, per: 6_000 }
/** A sixtieth of the window. */
const slice = quota.per / 60

it('forgets nothing before its time and everything within a sixtieth after it, and says how long to wait', () => {
  const step = fc.record({ pause: fc.nat(1_500), bytes: fc.nat(700), wanted: fc.nat(1_000) })
  fc.assert(
    fc.property(fc.nat(10_000), fc.array(step, { maxLength: 40 }), (start, steps) => {
      let now = start
      const window = new FetchWindow({ now: () => now }, quota)
      const added: { at: number; bytes: number }[] = []
      const since = (ms: number) => added.filter(({ at }) => at > now - ms).reduce((sum, { bytes }) => sum + bytes, 0)
      for (const { pause, bytes, wanted } of steps) {
        now += pause
        window.add(bytes)
        added.push({ at: now, bytes })
        expect(window.used).toBeGreaterThanOrEqual(since(quota.per))
        expect(window.used).toBeLessThanOrEqual(since(quota.per + slice))
        const wait = window.waitFor(wanted)
        const before = now
        if (wait > 0) {
          now = before + wait - 1
          expect(window.used + wanted).toBeGreaterThan(quota.bytes)
        }
        now = before + wait
        expect(window.used + wanted).toBeLessThanOrEqual(quota.bytes)
      }
    })
  )
})

it('has no wait for more than ever fits', () => {
  const window = new FetchWindow({ now: () => 0 }, quota)
  expect(window.waitFor(1_000)).toBe(0)
  expect(window.waitFor(1_001)).toBe(Number.POSITIVE_INFINITY)
})

it('makes nobody wait longer than it is because the clock was set back', () => {
  let now = 1e12
  const window = new FetchWindow({ now: () => now }, quota)
  window.add(1_000)
  now = 1e9
  expect(window.waitFor(1)).toBeLessThanOrEqual(quota.per + slice)
  now += quota.per + slice
  expect(window.used).toBe(0)
})
