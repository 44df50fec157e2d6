import { describe, expect, it } from 'vitest'
import { registryInit } from '../../src/node/settings.ts'
import { loadText, problemsOf, shortWarnings } from './fixture.ts'

const hour = 3_600_000
const load = (gc: string) => loadText(`version: 0.1\nipfs: {gc: {${gc}}}\n`)
const ageOf = async (gc: string) => registryInit((await load(gc)).config).untaggedMs

describe('ipfs.gc.untagged', () => {
  it.each([
    ['', undefined],
    ['untagged: 0s', undefined],
    ['untagged: 720h', 720 * hour],
    ['deleteuntagged: false', undefined],
    ['deleteuntagged: true', 24 * hour],
    ['deleteuntagged: true, grace: 2h', 2 * hour],
    // At once, as it always was.
    ['deleteuntagged: true, grace: 0s', 0],
    ['deleteuntagged: true, untagged: 24h', 24 * hour]
  ])('of {%s} keeps untagged manifests for %s ms', async (gc, age) => {
    expect(await ageOf(gc)).toBe(age)
  })

  it('is what the deprecated key is told to be written as', async () => {
    expect(shortWarnings(await load('deleteuntagged: true, grace: 2h'))).toEqual([
      'ipfs.gc.deleteuntagged is deprecated; write ipfs.gc.untagged: 2h instead'
    ])
    expect(shortWarnings(await load('deleteuntagged: false'))).toEqual([
      'ipfs.gc.deleteuntagged is deprecated; leave it out'
    ])
    expect(shortWarnings(await load('untagged: 1h'))).toEqual([])
  })

  it.each([
    'deleteuntagged: true, untagged: 0s',
    'deleteuntagged: true, untagged: 48h',
    'deleteuntagged: false, untagged: 24h'
  ])('contradicted by the deprecated key is an error: {%s}', async gc => {
    expect(await problemsOf(load(gc))).toEqual([
      expect.stringMatching(
        /^config\.yml:2: ipfs\.gc\.deleteuntagged: (true|false) contradicts ipfs\.gc\.untagged: (0s|48h|24h); leave out/
      )
    ])
  })
})
