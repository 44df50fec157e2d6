import { decodeJwt } from 'jose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { TokenRequest } from '../../src/access/authentication.ts'
import { openOwnTokens } from '../../src/access/own-tokens.ts'
import { parsePattern } from '../../src/access/pattern.ts'
import type { Scope } from '../../src/access/scope.ts'
import { Authenticated, basic, service } from './authenticated.ts'

const day = 24 * 60 * 60 * 1000
const app: Scope = { type: 'repository', name: 'team/app', actions: ['pull', 'push', 'delete'] }
const unauthorized = { reason: 'UNAUTHORIZED' }

let node: Authenticated
beforeEach(async () => {
  node = await Authenticated.start([
    { subject: { kind: 'user' }, pattern: parsePattern('**'), actions: new Set(['pull', 'push']) },
    { subject: { kind: 'anonymous' }, pattern: parsePattern('public/**'), actions: new Set(['pull']) },
    { subject: { kind: 'group', name: 'new' }, pattern: parsePattern('team/new'), actions: new Set(['create']) }
  ])
  await node.user('alice', 'correct horse')
})
afterEach(() => node.close())

const alice: TokenRequest['credential'] = { type: 'password', username: 'alice', password: 'correct horse' }
const issue = (request: Partial<TokenRequest>) =>
  node.tokenServer.issue({ credential: { type: 'none' }, scopes: [], offline: false, source: '192.0.2.1', ...request })

describe('a token', () => {
  it('grants of each scope what the subject may', async () => {
    const scopes: Scope[] = [
      app,
      { type: 'repository', name: 'other', actions: ['*'] },
      { type: 'registry', name: 'catalog', actions: ['*'] },
      { type: 'registry', name: 'other', actions: ['*'] },
      { type: 'invented', name: 'x', actions: ['pull'] },
      { type: 'repository', name: 'team/app', actions: ['admin', 'create', 'toString'] }
    ]
    const { token, scopes: granted, expiresIn, issuedAt } = await issue({ credential: alice, scopes })
    expect(granted).toEqual([
      { type: 'repository', name: 'team/app', actions: ['pull', 'push'] },
      { type: 'repository', name: 'other', actions: ['pull', 'push'] },
      { type: 'registry', name: 'catalog', actions: ['*'] }
    ])
    expect({ expiresIn, issuedAt }).toEqual({ expiresIn: 300, issuedAt: node.clock.ms })
    expect(decodeJwt(token)).toMatchObject({ iss: service, aud: service, sub: 'alice', access: granted })
  })

  it('costs one hash for any number of them while the password is the same', async () => {
    const { username, password } = { username: 'alice', password: 'correct horse' }
    const forms: TokenRequest['credential'][] = [
      alice,
      { type: 'authorization', header: basic(username, password) },
      { type: 'authorization', header: basic(username, password).replace('Basic', 'basic') }
    ]
    for (const credential of [...forms, ...forms]) await issue({ credential, scopes: [app] })
    await node.authentication.identify(basic(username, password), '192.0.2.1')
    expect(node.hashed).toBe(1)
    await issue({ credential: alice, source: '198.51.100.1' })
    expect(node.hashed).toBe(1)
    await node.user(username, 'battery staple')
    for (const credential of forms) await expect(issue({ credential })).rejects.toMatchObject(unauthorized)
  })

  it('is not given for the right password in the midst of guesses, though it is remembered', async () => {
    await issue({ credential: alice })
    const tooMany = { reason: 'TOOMANYREQUESTS' }
    const guess = (n: number) => issue({ credential: { type: 'password', username: 'alice', password: `guess ${n}` } })
    for (let n = 0; n < 5; n++) await expect(guess(n)).rejects.toMatchObject(unauthorized)
    await issue({ credential: alice })
    for (let n = 0; n < 30; n++) await expect(guess(n)).rejects.toMatchObject(tooMany)
    await expect(issue({ credential: alice })).rejects.toMatchObject(tooMany)
  })

  it('is not given to guessers elsewhere, though the right password would cost no hash', async () => {
    await issue({ credential: alice })
    const guess = (password: string) =>
      issue({ credential: { type: 'password', username: 'alice', password }, source: '198.51.100.1' })
    for (let n = 0; n < 5; n++) await expect(guess(`guess ${n}`)).rejects.toMatchObject(unauthorized)
    await expect(guess('correct horse')).rejects.toMatchObject({ reason: 'TOOMANYREQUESTS' })
    expect(node.hashed).toBe(6)
  })

  it('is given to anonymous too, for what anonymous may', async () => {
    const wanted = [app, { type: 'repository', name: 'public/base', actions: ['pull', 'push'] }]
    const { scopes, refreshToken } = await issue({ scopes: wanted, offline: true })
    expect(scopes).toEqual([{ type: 'repository', name: 'public/base', actions: ['pull'] }])
    expect(refreshToken).toBeUndefined()
  })

  it('has push for somebody who may only create', async () => {
    await node.user('carol', 'pw', ['new'])
    const { scopes } = await issue({
      credential: { type: 'password', username: 'carol', password: 'pw' },
      scopes: [{ type: 'repository', name: 'team/new', actions: ['push'] }]
    })
    expect(scopes).toEqual([{ type: 'repository', name: 'team/new', actions: ['push'] }])
  })

  it('of an own token holds what that token may, and starts no session', async () => {
    const { token } = await node.tokens.create({ name: 'ci', grants: [{ repositories: 'team/*', actions: ['pull'] }] })
    for (const header of [`Bearer ${token}`, basic('anything', token)]) {
      const issued = await issue({ credential: { type: 'authorization', header }, scopes: [app], offline: true })
      expect(issued.scopes).toEqual([{ ...app, actions: ['pull'] }])
      expect(issued.refreshToken).toBeUndefined()
    }
  })

  it.each<[string, TokenRequest['credential']]>([
    ['a wrong password', { type: 'password', username: 'alice', password: 'x' }],
    ['a user who is not there', { type: 'password', username: 'bob', password: 'correct horse' }],
    ['a wrong Basic', { type: 'authorization', header: basic('alice', 'x') }],
    ['a refresh token that nobody made', { type: 'refresh', token: `pinnacer_${'0'.repeat(33)}` }],
    ['a refresh token that is something else', { type: 'refresh', token: 'correct horse' }],
    ['a control character', { type: 'password', username: 'alice\n', password: 'x' }]
  ])('is not given for %s', async (_, credential) => {
    await expect(issue({ credential })).rejects.toMatchObject(unauthorized)
  })

  it('is not given for another bearer token, or that would never end', async () => {
    const header = await node.bearer(basic('alice', 'correct horse'))
    await expect(issue({ credential: { type: 'authorization', header } })).rejects.toMatchObject(unauthorized)
  })

  it('is for our own service', async () => {
    await expect(issue({ service })).resolves.toMatchObject({ scopes: [] })
    await expect(issue({ service: 'another' })).rejects.toMatchObject({ reason: 'REQUEST_INVALID' })
  })

  it('fits a header', async () => {
    const scopes = Array.from({ length: 100 }, (_, at) => ({ ...app, name: `${'a'.repeat(200)}/${at}` }))
    await expect(issue({ credential: alice, scopes })).rejects.toMatchObject({ reason: 'REQUEST_INVALID' })
    await expect(issue({ scopes: [...scopes, ...scopes] })).rejects.toMatchObject({ reason: 'REQUEST_INVALID' })
  })

  it('is not given to somebody who hung up', async () => {
    const request = { credential: alice, scopes: [], offline: false, source: '' }
    await expect(node.tokenServer.issue(request, { signal: AbortSignal.abort(new Error('gone')) })).rejects.toThrow(
      'gone'
    )
    expect(node.hashed).toBe(0)
  })
})

describe('a refresh token', () => {
  const login = async (): Promise<string> => {
    const { refreshToken } = await issue({ credential: alice, offline: true })
    return refreshToken ?? expect.fail('no refresh token')
  }

  it('stands for the password, again and again', async () => {
    const token = await login()
    expect(token).toMatch(/^pinnacer_[0-9A-Za-z]{33}$/)
    for (let n = 0; n < 3; n++) {
      const issued = await issue({ credential: { type: 'refresh', token }, scopes: [app], offline: true })
      expect(issued.scopes).toEqual([{ ...app, actions: ['pull', 'push'] }])
      expect(issued.refreshToken).toBeUndefined()
    }
    expect(node.hashed).toBe(1)
  })

  it('survives a restart', async () => {
    const token = await login()
    const tokens = await openOwnTokens({ store: node.metadata.tokens, clock: { now: () => node.clock.ms } })
    expect(tokens.find(token)).toMatchObject({ kind: 'refresh', user: { name: 'alice' } })
  })

  it('ends with the password, for good', async () => {
    const token = await login()
    const before = node.users.get('alice') ?? expect.fail()
    await node.user('alice', 'battery staple')
    await expect(issue({ credential: { type: 'refresh', token } })).rejects.toMatchObject(unauthorized)
    node.users.set('alice', before)
    await expect(issue({ credential: { type: 'refresh', token } })).rejects.toMatchObject(unauthorized)
  })

  it('ends 90 days after its last use', async () => {
    const token = await login()
    const use = () => issue({ credential: { type: 'refresh', token } })
    for (let n = 0; n < 4; n++) {
      node.clock.ms += 80 * day
      await use()
    }
    node.clock.ms += 90 * day
    await expect(use()).rejects.toMatchObject(unauthorized)
    const tokens = await openOwnTokens({ store: node.metadata.tokens, clock: { now: () => node.clock.ms } })
    expect([...tokens.sessions()]).toEqual([])
  })

  it('is taken away by its ID, and with it from the next request on what was issued for it', async () => {
    const first = await issue({ credential: alice, offline: true })
    const [session] = node.tokens.sessions()
    const other = await issue({ credential: alice, offline: true })
    const token = first.refreshToken ?? expect.fail()
    const second = await issue({ credential: { type: 'refresh', token } })
    const ask = async (bearer: string) => node.authentication.identify(`Bearer ${bearer}`, '192.0.2.1')
    await ask(second.token)
    await node.tokens.remove(session?.id ?? '')
    await expect(issue({ credential: { type: 'refresh', token } })).rejects.toMatchObject(unauthorized)
    // One that is remembered, and one that was never seen.
    for (const bearer of [second.token, first.token]) await expect(ask(bearer)).rejects.toMatchObject(unauthorized)
    await expect(ask(other.token)).resolves.toMatchObject({ subject: { name: 'alice' } })
  })

  it('is one of at most 64 of a user: the one unused for longest goes', async () => {
    const first = await login()
    const second = await login()
    node.clock.ms += 2 * day
    await issue({ credential: { type: 'refresh', token: first } })
    for (let n = 0; n < 63; n++) await login()
    expect([...node.tokens.sessions()]).toHaveLength(64)
    await expect(issue({ credential: { type: 'refresh', token: second } })).rejects.toMatchObject(unauthorized)
    await expect(issue({ credential: { type: 'refresh', token: first } })).resolves.toBeDefined()
  })

  it('leaves its bearers when it made place for others: nobody took anything away', async () => {
    const first = await issue({ credential: alice, offline: true })
    for (let n = 0; n < 64; n++) await login()
    await expect(issue({ credential: { type: 'refresh', token: first.refreshToken ?? '' } })).rejects.toMatchObject(
      unauthorized
    )
    const caller = await node.authentication.identify(`Bearer ${first.token}`, '192.0.2.1')
    expect(caller).toMatchObject({ subject: { name: 'alice' } })
  })

  it('is not it when it was used a moment ago', async () => {
    const kept = await login()
    for (let n = 0; n < 100; n++) {
      await issue({ credential: { type: 'refresh', token: kept } })
      await login()
    }
    await expect(issue({ credential: { type: 'refresh', token: kept } })).resolves.toBeDefined()
  })
})
