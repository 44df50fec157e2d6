import fc from 'fast-check'
import { SignJWT } from 'jose'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { actions, createAccess } from '../../src/access/authorize.ts'
import { networkOf, siteOf } from '../../src/access/back-off-source.ts'
import type { Caller } from '../../src/access/caller.ts'
import { createAuthentication } from '../../src/access/identify.ts'
import { parseCredential } from '../../src/access/identify-credential.ts'
import type { ExternalClaims } from '../../src/access/ports.ts'
import { Remembered } from '../../src/access/remembered.ts'
import { RegistryError } from '../../src/errors.ts'
import { Authenticated, basic, service } from './authenticated.ts'

const here = '192.0.2.1'
let node: Authenticated
beforeEach(async () => {
  node = await Authenticated.start()
  await node.user('alice', 'correct horse', ['dev'])
})
afterEach(() => node.close())

const ask = async (authorization?: string, source = here): Promise<Caller> =>
  node.authentication.identify(authorization, source)
const unauthorized = { reason: 'UNAUTHORIZED' }

describe('who asks', () => {
  it('is anonymous without a header, at once', () => {
    expect(node.authentication.identify(undefined, here)).toEqual({ subject: { kind: 'anonymous' } })
  })

  it('is the user of a right password, with no scopes to limit them', async () => {
    expect(await ask(basic('alice', 'correct horse'))).toEqual({
      subject: { kind: 'user', name: 'alice', groups: ['dev'] }
    })
  })

  it.each([
    ['a wrong password', basic('alice', 'wrong')],
    ['somebody who is not there', basic('bob', 'correct horse')],
    ['no colon', `Basic ${Buffer.from('alice').toString('base64')}`],
    ['no base64', 'Basic äöü'],
    ['no UTF-8', `Basic ${Buffer.from([0xff, 0x3a, 0x61]).toString('base64')}`],
    ['a control character', basic('alice', 'correct horse\0')],
    ['another scheme', 'Digest username="alice"'],
    ['nothing', ''],
    ['a bearer that is no JWT', 'Bearer abc'],
    ['an own token that nobody made', `Bearer pinnace_${'0'.repeat(33)}`],
    ['a name that is too long', basic('a'.repeat(256), 'x')],
    ['a header that is too long', `Bearer ${'a'.repeat(20_000)}`]
  ])('is refused: %s', async (_, header) => {
    await expect(ask(header)).rejects.toMatchObject(unauthorized)
  })

  it('is asked for a hash just as often where nobody has the name', async () => {
    await expect(ask(basic('bob', 'x'))).rejects.toMatchObject(unauthorized)
    expect(node.hashed).toBe(1)
  })

  it('is known at once the second time from the same source, without a hash from another', async () => {
    const header = basic('alice', 'correct horse')
    await ask(header)
    expect(node.authentication.identify(header, here)).toEqual({
      subject: { kind: 'user', name: 'alice', groups: ['dev'] }
    })
    await ask(header, '192.0.2.2')
    expect(node.hashed).toBe(1)
  })

  it('costs one hash for many requests at once', async () => {
    const header = basic('alice', 'correct horse')
    await Promise.all(Array.from({ length: 20 }, () => ask(header)))
    expect(node.hashed).toBe(1)
  })

  it('is not forgotten for tokens under any number of names, which cost nothing to check', async () => {
    const header = basic('alice', 'correct horse')
    await ask(header)
    const { token } = await node.tokens.create({ name: 'ci', grants: [{ repositories: '**', actions: ['pull'] }] })
    for (let at = 0; at < 17_000; at++) await ask(basic(`name-${at}`, token))
    expect(node.authentication.identify(header, here)).not.toBeInstanceOf(Promise)
    expect(node.hashed).toBe(1)
  })

  it('is refused for a refresh token as a password without a hash, and no back-off comes of it', async () => {
    const { refreshToken = '' } = await node.tokenServer.issue({
      credential: { type: 'password', username: 'alice', password: 'correct horse' },
      scopes: [],
      offline: true,
      source: here
    })
    for (let at = 0; at < 30; at++) {
      await expect(ask(basic('alice', refreshToken))).rejects.toMatchObject(unauthorized)
      await expect(ask(basic('', refreshToken))).rejects.toMatchObject(unauthorized)
    }
    expect(node.hashed).toBe(1)
  })

  it('is never told the password in an error', async () => {
    const errors = await Promise.all(
      [basic('alice', 'hunter2-secret'), basic('hunter2-secret', 'x'), `Bearer hunter2-secret`, 'hunter2-secret'].map(
        header => ask(header).catch((error: unknown) => error)
      )
    )
    for (const error of errors) {
      expect(error).toBeInstanceOf(RegistryError)
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('hunter2')
    }
    expect(JSON.stringify(node.audited)).not.toContain('hunter2')
    expect(node.audited).toContainEqual({ subject: 'user:alice', action: 'login', outcome: 'failed', from: here })
  })
})

describe('what was revoked counts from the next request', () => {
  it('GHSA-c9p4-xwr9-rfhx: a user who left a group is in it no more, by password and by bearer', async () => {
    const header = basic('alice', 'correct horse')
    const bearer = await node.bearer(header)
    await ask(header)
    await ask(bearer)
    const { hash = '' } = node.users.get('alice') ?? {}
    node.users.set('alice', { name: 'alice', hash, groups: [] })
    const left = { kind: 'user', name: 'alice', groups: [] }
    for (const credential of [header, bearer]) {
      const caller = node.authentication.identify(credential, here)
      expect(caller).not.toBeInstanceOf(Promise)
      expect(await caller).toMatchObject({ subject: left })
    }
  })

  it('a password: the old one and its bearers end, the new one works', async () => {
    const header = basic('alice', 'correct horse')
    const [known, unknown] = [await node.bearer(header), await node.bearer(header, 'other')]
    await ask(header)
    await ask(known)
    await node.user('alice', 'battery staple')
    for (const credential of [header, known, unknown]) {
      await expect(ask(credential)).rejects.toMatchObject(unauthorized)
    }
    expect(await ask(basic('alice', 'battery staple'))).toMatchObject({ subject: { name: 'alice' } })
  })

  it('a user', async () => {
    const header = basic('alice', 'correct horse')
    const bearer = await node.bearer(header)
    await ask(header)
    await ask(bearer)
    node.users.delete('alice')
    await expect(ask(header)).rejects.toMatchObject(unauthorized)
    await expect(ask(bearer)).rejects.toMatchObject(unauthorized)
  })

  it('an own token, as it is, as a password and behind a bearer', async () => {
    const { token } = await node.tokens.create({ name: 'ci', grants: [{ repositories: 'team/**', actions: ['pull'] }] })
    const credentials = [`Bearer ${token}`, basic('whoever', token), await node.bearer(basic('x', token))]
    for (const credential of credentials) {
      expect(await ask(credential)).toMatchObject({ subject: { kind: 'token', name: 'ci' } })
      expect(node.authentication.identify(credential, here)).not.toBeInstanceOf(Promise)
    }
    await node.tokens.remove('ci')
    for (const credential of credentials) await expect(ask(credential)).rejects.toMatchObject(unauthorized)
  })

  it('an own token whose time is over', async () => {
    const { token } = await node.tokens.create({
      name: 'ci',
      grants: [{ repositories: '**', actions: ['pull'] }],
      expiresAt: node.clock.ms + 60_000
    })
    await ask(`Bearer ${token}`)
    node.clock.ms += 60_000
    await expect(ask(`Bearer ${token}`)).rejects.toMatchObject(unauthorized)
    await expect(ask(basic('x', token))).rejects.toThrow(/ci has expired/)
  })
})

describe('bearer tokens', () => {
  it('carry the subject of the moment and the scopes that were granted', async () => {
    const bearer = await node.bearer(basic('alice', 'correct horse'))
    const scopes = [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }]
    expect(await ask(bearer)).toEqual({ subject: { kind: 'user', name: 'alice', groups: ['dev'] }, scopes })
    expect(node.authentication.identify(bearer, '198.51.100.7')).toMatchObject({ scopes })
  })

  it('end after five minutes, and a little later for whoever used them, the more so the further a push has come', async () => {
    const header = basic('alice', 'correct horse')
    const [known, unknown] = [await node.bearer(header), await node.bearer(header, 'other')]
    await ask(known)
    node.clock.ms += 299_000
    await ask(known)
    node.clock.ms += 1_000
    await expect(ask(unknown)).rejects.toMatchObject(unauthorized)
    node.clock.ms += 9_999
    await ask(known)
    node.clock.ms += 1
    await expect(ask(known)).rejects.toMatchObject(unauthorized)
    const at = (step: 'open' | 'write') => () => node.authentication.identify(known, '203.0.113.9', step)
    expect(at('open')()).toMatchObject({ subject: { name: 'alice' } })
    node.clock.ms += 25_000
    expect(at('open')).toThrow(expect.objectContaining(unauthorized))
    expect(at('write')()).toMatchObject({ subject: { name: 'alice' } })
    node.clock.ms += 25_000
    expect(at('write')).toThrow(expect.objectContaining(unauthorized))
  })

  it('of another process are refused', async () => {
    const other = await Authenticated.start()
    await expect(ask(await other.bearer())).rejects.toThrow(/before its last start/)
    await other.close()
  })

  it.each(['none', 'HS256'])('made up are refused: %s', async alg => {
    const claims = { for: { kind: 'anonymous' }, access: [], iss: service, aud: service, iat: 1, exp: 2 ** 33 }
    const made =
      alg === 'none'
        ? `${[{ alg, typ: 'JWT' }, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`
        : await new SignJWT(claims).setProtectedHeader({ alg }).sign(new Uint8Array(32))
    await expect(ask(`Bearer ${made}`)).rejects.toMatchObject(unauthorized)
  })

  it('are told from refresh tokens, which open nothing', async () => {
    const { refreshToken } = await node.tokenServer.issue({
      credential: { type: 'password', username: 'alice', password: 'correct horse' },
      scopes: [],
      offline: true,
      source: here
    })
    await expect(ask(`Bearer ${refreshToken}`)).rejects.toMatchObject(unauthorized)
    await expect(ask(basic('alice', refreshToken ?? ''))).rejects.toMatchObject(unauthorized)
  })
})

describe('tokens of another server', () => {
  const now = 1_700_000_000_000
  const external = (claims: Partial<ExternalClaims>) => {
    const clock = { ms: now, now: () => clock.ms }
    const verify = vi.fn(async () => ({
      subject: 'bob',
      access: [{ type: 'repository', name: 'team/app', actions: ['pull'] }],
      expiresAt: now + 60_000,
      ...claims
    }))
    const components = {
      ...createAccess({ rules: [] }),
      clock,
      tokens: node.tokens,
      bearers: { external: { verify } }
    }
    return { authentication: createAuthentication(components, { service }), clock, verify }
  }

  it('have no server here, and say alone what their holder may', async () => {
    const access = [
      { type: 'repository', name: 'team/app', actions: ['push', 'unknown'] },
      { type: 'repository', name: 'all/*', actions: ['*'] },
      { type: 'registry', name: 'catalog', actions: ['*'] }
    ]
    const { authentication } = external({ access })
    expect(authentication.tokenServer).toBeUndefined()
    const { subject, scopes } = await authentication.identify('Bearer a.b.c', here)
    expect(scopes).toEqual(access)
    const { authorize } = createAccess({ rules: [] })
    const may = (repository: string) => actions.filter(action => authorize(subject, action, repository))
    expect(may('team/app')).toEqual(['push', 'create'])
    expect(may('all/*')).toEqual(['pull', 'push', 'create', 'delete', 'fetch'])
    expect(may('all/one')).toEqual([])
    expect(may('')).toEqual([])
  })

  it('are verified once, and are over when they are over', async () => {
    const { authentication, clock, verify } = external({})
    await authentication.identify('Bearer a.b.c', here)
    clock.ms += 59_999
    expect(authentication.identify('Bearer a.b.c', '192.0.2.9')).toMatchObject({ subject: { name: 'bob' } })
    clock.ms += 1
    expect(() => authentication.identify('Bearer a.b.c', here)).toThrow(RegistryError)
    expect(verify).toHaveBeenCalledOnce()
  })

  it('go with own tokens, and with no passwords', async () => {
    const { authentication, verify } = external({})
    const { token } = await node.tokens.create({ name: 'ci', grants: [{ repositories: '**', actions: ['pull'] }] })
    expect(await authentication.identify(`Bearer ${token}`, here)).toMatchObject({ subject: { kind: 'token' } })
    await expect(Promise.resolve(authentication.identify(basic('alice', 'x'), here))).rejects.toMatchObject(
      unauthorized
    )
    expect(verify).not.toHaveBeenCalled()
  })
})

describe('the header', () => {
  it('whatever it holds, is read or refused', () => {
    const mixed = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc
        .tuple(fc.constantFrom('Basic ', 'bearer ', 'BASIC  ', 'Bearer'), fc.string({ maxLength: 300 }))
        .map(it => it.join('')),
      fc.uint8Array({ maxLength: 300 }).map(bytes => `Basic ${Buffer.from(bytes).toString('base64')}`)
    )
    fc.assert(
      fc.property(mixed, header => {
        try {
          parseCredential(header)
        } catch (error) {
          expect(error).toBeInstanceOf(RegistryError)
          expect(error).toMatchObject(unauthorized)
        }
      }),
      { numRuns: 500 }
    )
  })

  it('whatever it holds, names no caller but anonymous to identify()', async () => {
    const parts = fc.oneof(
      fc.base64String({ maxLength: 60 }),
      fc.json({ maxDepth: 2 }).map(it => Buffer.from(it).toString('base64url'))
    )
    const header = fc.array(parts, { minLength: 1, maxLength: 5 }).map(list => `Bearer ${list.join('.')}`)
    await fc.assert(
      fc.asyncProperty(header, async text => {
        await expect(ask(text)).rejects.toBeInstanceOf(RegistryError)
      }),
      { numRuns: 300 }
    )
  })

  it('is read back as it was written', () => {
    const printable = fc.string({ unit: 'grapheme', maxLength: 40 }).filter(it => !/\p{Cc}/u.test(it))
    fc.assert(
      fc.property(
        printable.filter(it => !it.includes(':')),
        printable,
        (username, password) => {
          expect(parseCredential(basic(username, password))).toEqual({ scheme: 'basic', username, password })
        }
      )
    )
  })
})

describe('a source', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['', '']
  ])('%s counts as %s', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })
})

it.each([
  ['192.0.2.1', undefined],
  ['::ffff:192.0.2.1', undefined],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48'],
  ['2001:db8::1', '2001:db8:0::/48'],
  ['', undefined]
])('%s belongs to the site %s', (address, site) => {
  expect(siteOf(networkOf(address))).toBe(site)
})

describe('what is remembered', () => {
  it('is bounded and keeps what is used', () => {
    const remembered = new Remembered<number>(100)
    for (let at = 0; at < 10_000; at++) {
      remembered.set(String(at), at)
      expect(remembered.get('0')).toBe(0)
      expect(remembered.size).toBeLessThanOrEqual(100)
    }
    expect(remembered.get('9999')).toBe(9999)
    expect(remembered.get('5000')).toBeUndefined()
    remembered.delete('9999')
    expect(remembered.get('9999')).toBeUndefined()
  })

  it('is bounded by weight, not by number', () => {
    const remembered = new Remembered<number>(100)
    for (let at = 0; at < 1000; at++) {
      remembered.set(String(at), at, 10)
      remembered.set(String(at), at, 10)
      expect(remembered.size).toBeLessThanOrEqual(10)
      expect(remembered.get(String(at))).toBe(at)
    }
    remembered.set('heavy', 1, 51)
    expect(remembered.get('heavy')).toBeUndefined()
    expect(remembered.get('999')).toBe(999)
  })
})
