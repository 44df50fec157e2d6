import fc from 'fast-check'
import { MemoryLevel } from 'memory-level'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { NewToken } from '../../src/access/new-token.ts'
import { type OwnTokens, openOwnTokens } from '../../src/access/own-tokens.ts'
import { createSecret, kindOfSecret } from '../../src/access/own-tokens-format.ts'
import type { TokenRecord, TokenStore } from '../../src/access/ports.ts'
import { LevelMetadata } from '../../src/metadata/store.ts'

let level: MemoryLevel<string, string>
let metadata: LevelMetadata
let tokens: OwnTokens
let now = 1000
const clock = { now: () => now }
const pull: NewToken['grants'] = [{ repositories: 'team/**', actions: ['pull'] }]
const invalid = { reason: 'REQUEST_INVALID' }

beforeEach(async () => {
  now = 1000
  level = new MemoryLevel()
  metadata = new LevelMetadata({ level })
  await metadata.open()
  tokens = await openOwnTokens({ store: metadata.tokens, clock }, { limit: 3 })
})
afterEach(() => metadata.close())

describe('own tokens', () => {
  it('are shown once, stored hashed, and found again', async () => {
    const { token, record } = await tokens.create({ name: 'ci', grants: pull, expiresAt: 5000 })
    expect(token).toMatch(/^pinnace_[0-9A-Za-z]{33}$/)
    expect(record).toEqual({
      id: record.id,
      name: 'ci',
      kind: 'access',
      grants: pull,
      createdAt: 1000,
      expiresAt: 5000
    })
    expect(tokens.find(token)).toEqual(record)
    const stored = JSON.stringify(await level.iterator().all())
    expect(stored).toContain('team/**')
    expect(stored).not.toContain(token.slice('pinnace_'.length, -6))
    expect(JSON.stringify(tokens.list())).not.toMatch(/[0-9a-f]{64}/)
  })

  it('are the subject their record says, the same object every time', async () => {
    const { record } = await tokens.create({ name: 'ci', grants: pull })
    const subject = tokens.subject(record.id)
    expect(subject).toMatchObject({ kind: 'token', id: record.id, name: 'ci' })
    expect(tokens.subject(record.id)).toBe(subject)
    const [grant] = subject?.kind === 'token' ? subject.grants : []
    expect(grant?.pattern.matches('team/app')).toBe(true)
    expect([...(grant?.actions ?? [])]).toEqual(['pull'])
  })

  it('are there after a restart', async () => {
    const { token, record } = await tokens.create({ name: 'ci', grants: pull })
    await tokens.create({ name: 'gone', grants: pull })
    await tokens.remove('gone')
    const again = await openOwnTokens({ store: metadata.tokens, clock })
    expect(again.list()).toEqual([record])
    expect(again.find(token)).toEqual(record)
  })

  it('are removed by name or ID, at once', async () => {
    const first = await tokens.create({ name: 'a', grants: pull })
    const second = await tokens.create({ name: 'b', grants: pull })
    expect(await tokens.remove('a')).toEqual(first.record)
    expect(await tokens.remove(second.record.id)).toEqual(second.record)
    expect(tokens.subject(first.record.id)).toBeUndefined()
    expect(tokens.find(second.token)).toBeUndefined()
    expect(tokens.list()).toEqual([])
    await expect(tokens.remove('a')).rejects.toMatchObject({ reason: 'NOT_FOUND' })
  })

  it('expire on time, and stay in the list', async () => {
    const { record } = await tokens.create({ name: 'a', grants: pull, expiresAt: 1001 })
    expect(tokens.subject(record.id)).toBeDefined()
    now = 1001
    expect(tokens.subject(record.id)).toBeUndefined()
    expect(tokens.list()).toEqual([record])
  })

  it.each<[string, Partial<NewToken>]>([
    ['an empty name', { name: '' }],
    ['a name with a space', { name: 'a b' }],
    ['a name of 65 characters', { name: 'a'.repeat(65) }],
    ['no grants', { grants: [] }],
    ['no actions', { grants: [{ repositories: '**', actions: [] }] }],
    ['a past expiry', { expiresAt: 1000 }],
    ['no time at all', { expiresAt: Number.NaN }]
  ])('are refused with %s', async (_, wanted) => {
    await expect(tokens.create({ name: 'ok', grants: pull, ...wanted })).rejects.toMatchObject(invalid)
    expect(tokens.list()).toEqual([])
  })

  it('are refused with a pattern that is none', async () => {
    const grants: NewToken['grants'] = [{ repositories: 'UPPER', actions: ['pull'] }]
    await expect(tokens.create({ name: 'ok', grants })).rejects.toMatchObject({ reason: 'NAME_INVALID' })
  })

  it('have names of their own, also when made at once, and are bounded', async () => {
    const made = await Promise.allSettled(['a', 'a', 'b', 'c', 'd'].map(name => tokens.create({ name, grants: pull })))
    expect(made.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'rejected'])
    expect(tokens.list().map(({ name }) => name)).toEqual(['a', 'b', 'c'])
  })

  it('that could not be stored are not there; that could not be deleted still are', async () => {
    let broken = false
    const stored = new Map<string, TokenRecord>()
    const check = () => {
      if (broken) throw new Error('no space')
    }
    const store: TokenStore = {
      async *list() {
        yield* stored.values()
      },
      put: async record => {
        check()
        stored.set(record.id, record)
      },
      delete: async id => {
        check()
        stored.delete(id)
      }
    }
    const some = await openOwnTokens({ store, clock })
    const { record } = await some.create({ name: 'kept', grants: pull })
    broken = true
    await expect(some.create({ name: 'lost', grants: pull })).rejects.toThrow('no space')
    await expect(some.remove('kept')).rejects.toThrow('no space')
    expect(some.list()).toEqual([record])
    broken = false
    await some.create({ name: 'lost', grants: pull })
  })
})

describe('the form of a token', () => {
  it('is known by prefix and checksum, offline', () => {
    for (let n = 0; n < 200; n++) {
      expect(kindOfSecret(createSecret('access'))).toBe('access')
      expect(kindOfSecret(createSecret('refresh'))).toBe('refresh')
    }
  })

  it('no longer fits when one character is another', () => {
    const secret = createSecret('access')
    fc.assert(
      fc.property(fc.nat(secret.length - 1), fc.constantFrom(...'0aZ_9'), (at, character) => {
        fc.pre(secret[at] !== character)
        expect(kindOfSecret(secret.slice(0, at) + character + secret.slice(at + 1))).toBeUndefined()
      })
    )
  })

  it('is published: this one is a token of 27 zeros', () => {
    // CRC-32 of "pinnace_000…" in base 62 (0-9A-Za-z), six digits.
    expect(kindOfSecret(`pinnace_${'0'.repeat(27)}2AFK8v`)).toBe('access')
  })
})
