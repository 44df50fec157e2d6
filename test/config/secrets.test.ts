import { Type } from '@sinclair/typebox'
import { describe, expect, it } from 'vitest'
import { applyEnvironment } from '../../src/config/environment.ts'
import { record, secret, section, text } from '../../src/config/fields.ts'
import { holdsSecret, walkKeys } from '../../src/config/keys.ts'
import { printBySchema } from '../../src/config/print.ts'
import { readSecretFiles } from '../../src/config/read-files.ts'
import { shape } from '../../src/config/shape.ts'
import { emptyMap } from '../../src/config/tree.ts'
import { validate } from '../../src/config/validate.ts'
import { temporaryFile } from './fixture.ts'

const token = secret({ description: 'A secret.' })
const target = record('A target.', {
  url: Type.Optional(text({ description: 'Where it is.' })),
  token: Type.Optional(token)
})
const map = { default: {}, description: 'A map.', noun: 'a section', write: 'keys and values under it' }

/** Every place there is for a secret: below a map, as the value of one, in a list, where it is one of several kinds. */
const schema = section('All.', {
  targets: Type.Record(Type.String(), target, map),
  grants: Type.Record(Type.String(), token, map),
  deep: Type.Record(Type.String(), Type.Record(Type.String(), target, map), map),
  keys: Type.Array(token, { default: [], description: 'A list.', noun: 'a list', write: 'its entries in [ ]' }),
  either: Type.Optional(Type.Union([Type.Literal('none'), target], { description: 'One or the other.' })),
  plain: Type.Record(Type.String(), text({ description: 'A text.' }), map)
})
const value = {
  targets: { storj: { url: 'https://s', token: 'hunter2' }, bare: { token: 'hunter2' } },
  grants: { a: 'hunter2' },
  deep: { x: { y: { token: 'hunter2' } } },
  keys: ['hunter2', 'hunter2'],
  either: { url: 'u', token: 'hunter2' },
  plain: { a: 'shown' }
}

describe('a secret', () => {
  it('is seen wherever it is', () => {
    const { targets, grants, deep, keys, either, plain } = schema.properties
    for (const holder of [targets, grants, deep, keys, either, schema]) expect(holdsSecret(holder)).toBe(true)
    expect(holdsSecret(plain)).toBe(false)
  })

  it('is never printed; a comment names the variables that set it', () => {
    const printed = printBySchema(value, schema)
    expect(printed).not.toContain('hunter2')
    expect(printed).toContain('url: https://s')
    expect(printed).toContain('a: shown')
    const comments = [...printed.matchAll(/# (\S+): set (\S+) or \2_FILE/g)].map(([, key, variable]) => [key, variable])
    expect(comments).toEqual([
      ['targets.storj.token', 'REGISTRY_TARGETS_STORJ_TOKEN'],
      ['targets.bare.token', 'REGISTRY_TARGETS_BARE_TOKEN'],
      ['grants.a', 'REGISTRY_GRANTS_A'],
      ['deep.x.y.token', 'REGISTRY_DEEP_X_Y_TOKEN'],
      ['keys[0]', 'REGISTRY_KEYS_0'],
      ['keys[1]', 'REGISTRY_KEYS_1'],
      ['either.token', 'REGISTRY_EITHER_TOKEN']
    ])
  })

  it('of the wrong kind is not shown in the message either', () => {
    const wrong = { ...value, targets: { a: { token: 'hunter2\nhunter2' } }, grants: { a: 'hunter2\n' } }
    const messages = [...validate(schema, wrong, new Map()).values()].map(({ message }) => message)
    expect(messages).toHaveLength(2)
    expect(messages.join()).not.toContain('hunter2')
  })

  it('is a key of the reference, with its variable', () => {
    const keys = [...walkKeys(schema)].filter(key => holdsSecret(key.schema) && key.schema.type === 'string')
    expect(keys.map(({ name, variable }) => [name, variable])).toEqual([
      ['targets.<name>.token', 'REGISTRY_TARGETS_<NAME>_TOKEN'],
      ['grants.<name>', 'REGISTRY_GRANTS_<NAME>'],
      ['deep.<name>.<name>.token', 'REGISTRY_DEEP_<NAME>_<NAME>_TOKEN'],
      ['keys[]', 'REGISTRY_KEYS_0'],
      ['either.token', 'REGISTRY_EITHER_TOKEN']
    ])
  })

  it.each([
    ['REGISTRY_TARGETS_STORJ_TOKEN_FILE', { targets: { storj: { token: 'a: b' } } }],
    ['REGISTRY_GRANTS_A_FILE', { grants: { a: 'a: b' } }],
    ['REGISTRY_DEEP_X_Y_TOKEN_FILE', { deep: { x: { y: { token: 'a: b' } } } }],
    ['REGISTRY_KEYS_0_FILE', { keys: ['a: b'] }]
  ])('comes from the file that %s names', async (name, expected) => {
    const environment = { [name]: await temporaryFile('a: b\n', 'secret') }
    const { contents, problems } = await readSecretFiles(schema, environment)
    const overridden = applyEnvironment(emptyMap({ source: 'test' }), schema, environment, contents)
    expect([...problems, ...overridden.problems, ...overridden.warnings]).toEqual([])
    expect(shape(overridden.root, schema).value).toEqual(expected)
  })
})
