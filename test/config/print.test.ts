import { KindGuard } from '@sinclair/typebox'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { annotations } from '../../src/config/fields.ts'
import { type Key, walkKeys } from '../../src/config/keys.ts'
import { type Config, ConfigError, configSchema, loadConfig, printConfig } from '../../src/config.ts'
import { agreeing, arbitraryFor } from './arbitrary.ts'
import { home, loadText, temporaryFile } from './fixture.ts'

const runs = { numRuns: 150 }

/** The configuration, or `undefined` where keys contradict each other (two addresses alike, a path for TCP). */
async function loadAny(text: string): Promise<Config | undefined> {
  try {
    return (await loadText(text)).config
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const contradicts =
      /given twice|http\.addr too|names no peer|too much or nothing|no time at all|sets this header itself/
    const others = error.problems.filter(problem => !contradicts.test(problem.message))
    expect(others).toEqual([])
    return undefined
  }
}

/** The variables that the comments of a printed configuration name, each with the value that was at its key. */
function namedVariables(printed: string, config: Config): Record<string, string> {
  const named = printed.matchAll(/^ *# ([\w.[\]-]+): set (REGISTRY_\w+) or \2_FILE$/gm)
  const valueAt = (key: string) => key.split('.').reduce<unknown>((at, part) => Reflect.get(Object(at), part), config)
  return Object.fromEntries([...named].map(([, key = '', variable = '']) => [variable, String(valueAt(key))]))
}

describe('config print', () => {
  it('of any configuration is read back to the same, with the variables that its comments name', async () => {
    let kept = 0
    let secrets = 0
    await fc.assert(
      fc.asyncProperty(arbitraryFor(configSchema).map(agreeing), async value => {
        const config = await loadAny(stringify(value, { lineWidth: 0 }))
        if (config === undefined) return
        kept++
        const printed = printConfig(config)
        const named = namedVariables(printed, config)
        secrets += Object.keys(named).length
        // As a file: a secret may begin with what is YAML in a variable.
        const files = Object.entries(named).map(async ([name, secret]) => [`${name}_FILE`, await temporaryFile(secret)])
        const again = await loadText(printed, Object.fromEntries(await Promise.all(files)))
        expect(again.config).toEqual(config)
        expect(printConfig(again.config)).toBe(printed)
      }),
      runs
    )
    expect(kept).toBeGreaterThan(runs.numRuns / 2)
    expect(secrets).toBeGreaterThan(0)
  })

  it('is accepted again, and without a word, when nothing was configured', async () => {
    const { config } = await loadConfig({ environment: home })
    const again = await loadText(printConfig(config))
    expect(again.warnings).toEqual([])
    expect(again.config).toEqual(config)
  })

  it('has every key, or a comment that says what holds while it is not set', async () => {
    const printed = printConfig((await loadConfig({ environment: home })).config)
    const { key, access, ...rest } = {
      listen: /^ {2}# ipfs\.listen is not set: \/ip4\/127\.0\.0\.1\/tcp\/4001; any free port/m,
      reserve: /^ {2}# ipfs\.reserve is not set: 5 %, at most 1 GiB$/m,
      hashing: /^ {4}hashing: \d+$/m,
      connections: /^ {6}connections: 2048$/m,
      access: /^# access is not set: nobody is asked for a password and everybody may do everything$/m,
      key: /^ {2}# ipfs\.key\.file is not set: in the data folder$/m
    }
    for (const pattern of [key, access, ...Object.values(rest)]) expect(printed).toMatch(pattern)
    expect(printed).not.toMatch(/auth/)
  })

  it.each([
    ['auth: {htpasswd: {path: /p}}', 'users pull and push everything'],
    ['http: {addr: ":5000"}', 'nobody is asked for a password and everybody may pull and push'],
    [
      'auth: {token: {realm: "https://a.example", service: s, issuer: i, jwks: /j}}',
      'the tokens of the server at auth.token say what their holders may'
    ]
  ])('%s: says who may do what', async (text, expected) => {
    const { config } = await loadText(`version: 0.1\n${text}\n`)
    expect(printConfig(config)).toContain(`\n# access is not set: ${expected}\n`)
  })

  it('has a comment in the place of a secret, and the rest is accepted', async () => {
    const text =
      'version: 0.1\nhttp: {secret: hunter2}\nstorage: {estuary: {url: "https://e", auth-token: hunter2}, storj: {accessgrant: hunter2}}\n'
    const printed = printConfig((await loadText(text)).config)
    expect(printed).not.toContain('hunter2')
    expect(printed).toContain('\n  # http.secret: set REGISTRY_HTTP_SECRET or REGISTRY_HTTP_SECRET_FILE\n')
    expect(printed.match(/: set REGISTRY_\w+ or REGISTRY_\w+_FILE/g)).toHaveLength(3)
    expect((await loadText(printed)).config.storage.estuary).toEqual({ url: 'https://e' })
  })

  it('reads like a configuration for distribution where it can', async () => {
    const printed = printConfig((await loadText('version: 0.1\nhttp: {addr: ":5000"}\n')).config)
    expect(printed).toMatch(/^version: 0\.1\n/)
    expect(printed).toContain('\n  addr: :5000\n')
    expect(printed).toContain('\n      age: 168h\n')
    expect(printed).toContain('\n    manifest: 4MiB\n')
  })
})

/** Keys with one value: what a variable sets without a section around it. */
const scalars = [...walkKeys(configSchema)].filter(
  key =>
    !KindGuard.IsObject(key.schema) && !key.name.includes('[]') && key.name !== 'version' && key.name !== 'loglevel'
)

function nested(key: Key, value: unknown): string {
  return stringify(
    key.name.split('.').reduceRight<unknown>((inner, part) => ({ [part]: inner }), value),
    { lineWidth: 0 }
  )
}

/** Keys that ask for others beside them. */
function setting(key: Key): { file: string; environment: Record<string, string> } {
  const beside = { REGISTRY_HTTP_TLS_CERTIFICATE: '/c', REGISTRY_HTTP_TLS_KEY: '/k' }
  const acme = {
    REGISTRY_HTTP_TLS_LETSENCRYPT_EMAIL: 'a@example.com',
    REGISTRY_HTTP_TLS_LETSENCRYPT_HOSTS: '[r.example.com]'
  }
  const needed = key.name.startsWith('http.tls.letsencrypt.') ? acme : beside
  const environment = key.name.startsWith('http.tls.') ? needed : {}
  return { file: 'version: 0.1\n', environment: { ...home, ...environment, XDG_DATA_HOME: '/x' } }
}

describe('a variable', () => {
  it('reaches every key of the reference', () => {
    expect(scalars.length).toBeGreaterThan(40)
    expect(new Set(scalars.map(key => key.variable)).size).toBe(scalars.length)
  })

  it.each(scalars.map(key => [key.variable, key] as const))(
    '%s sets what its key in a file sets',
    async (variable, key) => {
      await fc.assert(
        fc.asyncProperty(arbitraryFor(key.schema), async value => {
          const { file, environment } = setting(key)
          const { [variable]: _, ...others } = environment
          const outcome = async (text: string, variables: Record<string, string>) => {
            try {
              return (await loadText(text, variables, { dataDir: '/data' })).config
            } catch (error) {
              if (!(error instanceof ConfigError)) throw error
              return error.problems.map(problem => problem.message.replace(/^\S+: /, ''))
            }
          }
          const text = stringify(value, { lineWidth: 0 })
          const byVariable = await outcome(file, { ...environment, [variable]: text })
          expect(byVariable).toEqual(await outcome(`${file}${nested(key, value)}`, others))
        }),
        { numRuns: 15 }
      )
    }
  )
})

it('every key says what it means and what to write', () => {
  for (const { name, schema } of walkKeys(configSchema)) {
    expect(annotations(schema).description, name).toMatch(/\.$/)
    if (!KindGuard.IsObject(schema)) expect(annotations(schema).noun, name).toBeTypeOf('string')
  }
})

it('nothing of the process is read but what is passed', async () => {
  process.env.REGISTRY_HTTP_ADDR = ':1'
  try {
    expect((await loadConfig({ environment: home })).config.http.addr).toHaveLength(2)
  } finally {
    delete process.env.REGISTRY_HTTP_ADDR
  }
})
