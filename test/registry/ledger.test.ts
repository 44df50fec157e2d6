import { expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { Ledger } from '../../src/registry/maintenance/ledger.ts'
import { holds } from '../../src/registry/ports.ts'

const [a, b] = [digestOf(Buffer.from('a')), digestOf(Buffer.from('b'))]

test('manifests and holders are apart, and what was not entered is firm', () => {
  const ledger = new Ledger()
  ledger.setManifest('r', a, holds.none)
  expect([ledger.manifest('r', a), ledger.manifest('r', b), ledger.manifest('s', a), ledger.holder('r', a)]).toEqual([
    holds.none,
    holds.firm,
    holds.firm,
    holds.firm
  ])
  ledger.setManifest('r', a, holds.untagged)
  expect([ledger.manifest('r', a), ledger.hasManifest('r', a), ledger.full]).toEqual([holds.untagged, true, false])
})

test('beyond its bytes it takes nothing more, says so, and still changes what it has', () => {
  const ledger = new Ledger(200)
  ledger.setHolder('r', a, holds.none)
  ledger.setHolder('r', b, holds.none)
  expect([ledger.holder('r', a), ledger.holder('r', b), ledger.full]).toEqual([holds.none, holds.firm, true])
  ledger.setHolder('r', a, holds.recent)
  expect(ledger.holder('r', a)).toBe(holds.recent)
})
