import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { parseOptions, rowNames } from '../../../scripts/bench/options.ts'

beforeEach(() => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true)
})
afterEach(() => {
  vi.restoreAllMocks()
})

describe('the command line of the bench', () => {
  it('runs everything nine times by default', () => {
    const expected = { rows: [...rowNames], rounds: 9, starts: 1, peers: {}, json: undefined, tls: false, size: 10 }
    expect(parseOptions([])).toEqual(expected)
  })
  it('starts the servers three times where two versions are compared, and never more often than there are rounds', () => {
    expect(parseOptions(['--before', '../before']).starts).toBe(3)
    expect(parseOptions(['--before', '../before', '--rounds', '2']).starts).toBe(2)
    expect(parseOptions(['--starts', '5']).starts).toBe(5)
  })
  it('takes several rows and peers', () => {
    const peers = ['--peer', 'zot=http://127.0.0.1:5050/', '--peer', 'hub=https://registry.example']
    const { rows, rounds, peers: given, tls } = parseOptions(['pull', 'push', '--rounds', '3', '--tls', ...peers])
    expect(rows).toEqual(['pull', 'push'])
    expect({ rounds, tls }).toEqual({ rounds: 3, tls: true })
    expect(given).toEqual({ zot: 'http://127.0.0.1:5050', hub: 'https://registry.example' })
  })
  it.each([
    [['pul']],
    [['--rounds', '0']],
    [['--rounds', '1.5']],
    [['--size', '-1']],
    [['--peer', 'http://127.0.0.1:5050']],
    [['--peer', 'zot=http://127.0.0.1:5050/v2/']],
    [['--fast']]
  ])('refuses %j', argv => {
    expect(() => parseOptions(argv)).toThrow()
  })
})
