import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { repeatedName } from '../../src/oci/repeated-name.ts'

describe('repeatedName', () => {
  it.each([
    ['{"a":1,"a":1}', 'a'],
    ['{"a":1,"b":{},"\\u0061":2}', 'a'],
    ['{"x":[{"y":{"z":1,"z" : 2}}]}', 'z'],
    ['{"":1,"":2}', ''],
    ['{"a\\"":1,"b":2,"a\\"":3}', 'a"'],
    ['{"__proto__":1,"__proto__":2}', '__proto__']
  ])('%s has %s twice', (text, name) => {
    expect(repeatedName(text)).toBe(name)
  })

  it.each([
    '{"a":"a","b":"a"}',
    '[{"a":1},{"a":1}]',
    '{"a":{"a":{"a":[]}}}',
    '{"a":"\\"a\\":1","b":"{\\"b\\":"}',
    '["a","a"]',
    '{"a\\\\":1,"a":2}',
    '"a"',
    '{}'
  ])('%s has none', text => {
    expect(repeatedName(text)).toBeUndefined()
  })

  it('is of one mind with JSON.parse about any document', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.nat(3), (text, indent) => {
        const spaced = JSON.stringify(JSON.parse(text), undefined, indent)
        expect(repeatedName(spaced)).toBeUndefined()
        const twice = `{"outer":[1,{"k":${spaced},"other":0,"\\u006b":${spaced}}]}`
        expect(JSON.parse(twice)).toBeTypeOf('object')
        expect(repeatedName(twice)).toBe('k')
      })
    )
  })
})
