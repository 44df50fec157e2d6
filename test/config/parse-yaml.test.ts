import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseYaml, yamlLimits } from '../../src/config/parse-yaml.ts'
import { ConfigError, loadConfig } from '../../src/config.ts'
import { home, loadText } from './fixture.ts'

const mebibyte = 1024 * 1024

/** Nine lists of nine aliases of the one before: 9^9 values if expanded. */
const laughs = `version: 0.1\na: &a [x]\n${'bcdefghij'
  .split('')
  .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghi'[index]}`).join(', ')}]`)
  .join('\n')}\n`

const hostile: [name: string, text: string][] = [
  ['aliases of aliases', laughs],
  ['an alias of itself', 'version: 0.1\nhttp: &a {headers: {x: [*a]}}\n'],
  ['a merge of itself', 'version: 0.1\nhttp: &a {<<: *a}\n'],
  ['flow lists in each other', '['.repeat(mebibyte)],
  ['flow maps in each other', '{a: '.repeat(mebibyte / 4)],
  ['a few too many lists', `a: ${'['.repeat(60)}${']'.repeat(60)}`],
  ['block lists in each other', '- '.repeat(mebibyte / 2)],
  ['block maps in each other', Array.from({ length: 1400 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
  ['keys as keys', '? '.repeat(mebibyte / 2)],
  ['as many keys as fit', Array.from({ length: 80_000 }, (_, n) => `k${n}: 1`).join('\n')],
  ['keys just below the limit', Array.from({ length: 9000 }, (_, n) => `k${n}: 1`).join('\n')],
  ['one key again and again', 'a: 1\n'.repeat(9000)],
  ['anchors', '&a '.repeat(mebibyte / 3)],
  ['tags', '!a '.repeat(mebibyte / 3)],
  ['commas', `[${','.repeat(mebibyte - 1)}`],
  ['colons', ':'.repeat(mebibyte)],
  ['documents', '---\n'.repeat(mebibyte / 4)],
  ['directives', '%YAML 1.1\n'.repeat(100_000)],
  ['one long text', `version: 0.1\nhttp: {host: ${'x'.repeat(mebibyte - 40)}}`],
  ['one long key', `version: 0.1\n"${'k'.repeat(500_000)}": 1`],
  ['nothing but spaces', ' '.repeat(mebibyte)],
  ['control characters', Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)).join('')]
]

describe('hostile YAML', () => {
  it.each(hostile)('%s: problems of bounded length, no exception', async (_name, text) => {
    const error = await loadText(text).catch((reason: unknown) => reason)
    if (!(error instanceof ConfigError)) throw new Error('accepted or crashed', { cause: error })
    for (const problem of error.problems) expect(problem.message.length).toBeLessThan(1000)
    expect(error.message).not.toMatch(/\n\s+at |RangeError|node_modules/)
  })

  it('expands aliases up to a bound', () => {
    const times = (count: number) => parseYaml(`a: &a [x, y]\nb: [${Array(count).fill('*a').join(', ')}]`, 'x')
    expect(times(100).problems).toEqual([])
    expect(times(yamlLimits.nodes).problems).toHaveLength(1)
  })

  it('of any bytes gives a configuration or a ConfigError', async () => {
    const seeds = fc.constantFrom(
      'version: 0.1\n',
      'http: {addr: ',
      'storage:\n  filesystem:\n',
      '&a ',
      '*a',
      '<<: ',
      '!!',
      '- ',
      '"'
    )
    const text = fc.array(fc.oneof(seeds, fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme-ascii' })), {
      maxLength: 8
    })
    const bytes = fc.uint8Array({ maxLength: 200 })
    const content = fc.oneof(
      text.map(parts => parts.join('')),
      bytes
    )
    await fc.assert(
      fc.asyncProperty(content, async input => {
        const outcome = await loadText(input).catch((reason: unknown) => reason)
        expect(outcome instanceof ConfigError || Object.hasOwn(Object(outcome), 'config')).toBe(true)
      }),
      { numRuns: 600 }
    )
  })

  it('in any variable gives a configuration or a ConfigError', async () => {
    const parts = [
      'HTTP',
      'ADDR',
      '0',
      'STORAGE',
      'ESTUARY',
      'AUTH',
      'TOKEN',
      'LOG',
      'FIELDS',
      'X',
      'HEADERS',
      'FILE',
      'IPFS',
      'TLS',
      '',
      '__PROTO__'
    ]
    const name = fc
      .array(fc.constantFrom(...parts), { minLength: 1, maxLength: 5 })
      .map(path => `REGISTRY_${path.join('_')}`)
    const value = fc.oneof(
      fc.string({ unit: 'binary' }).filter(text => !text.includes('\0')),
      fc.constantFrom('{a: b}', '[x]', '*a', '5')
    )
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, value, { maxKeys: 6 }), async environment => {
        const loading = loadConfig({ environment: { ...home, ...environment } })
        const outcome = await loading.catch((reason: unknown) => reason)
        expect(outcome instanceof ConfigError || Object.hasOwn(Object(outcome), 'config')).toBe(true)
      }),
      { numRuns: 600 }
    )
  })
})
