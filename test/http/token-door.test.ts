import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Authenticated, basic } from '../access/authenticated.ts'
import { type Server, startServer } from '../oci-api/server.ts'

let who: Authenticated
let server: Server
beforeAll(async () => {
  who = await Authenticated.start()
  await who.user('alice', 'p:ss wörd&+%')
  server = await startServer({
    app: { prefix: '/registry', accessLog: true },
    components: { authentication: who.authentication }
  })
})
afterAll(async () => {
  await server.close()
  await who.close()
})

const alice = basic('alice', 'p:ss wörd&+%')
const scope = 'repository:team/app:pull,push'

interface Issued {
  token: string
  access_token: string
  scope: string
  expires_in: number
  issued_at: string
  refresh_token?: string
}

async function get(query: string, header?: string) {
  const answer = await server.ask(`/registry/token${query}`, {
    headers: header === undefined ? {} : { Authorization: header }
  })
  expect(answer.headers['cache-control']).toBe('no-store')
  return answer
}

async function post(form: Record<string, string> | string, headers: Record<string, string> = {}) {
  const body = new URLSearchParams(form).toString()
  const answer = await server.ask('/registry/token', {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
    body
  })
  expect(answer.headers['cache-control']).toBe('no-store')
  return answer
}

const issuedOf = (answer: { status: number; body: Buffer }): Issued => {
  expect(answer.status).toBe(200)
  return JSON.parse(answer.body.toString())
}

describe('GET /token', () => {
  it('issues under both names, for what of the scopes may be had', async () => {
    const issued = issuedOf(await get(`?service=registry.test&account=alice&client_id=x&scope=${scope}`, alice))
    expect(issued).toMatchObject({ token: issued.access_token, expires_in: 300, scope })
    expect(issued.issued_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/)
    expect(Date.parse(issued.issued_at)).toBe(who.clock.ms)
    expect(issued).not.toHaveProperty('refresh_token')
    const headers = { Authorization: `Bearer ${issued.token}` }
    expect((await server.ask('/registry/v2/team/app/tags/list', { headers })).status).toBe(404)
  })

  it('takes scopes in one parameter or in several', async () => {
    const two = ['repository:a:pull', 'repository:b:pull,push']
    for (const query of [`scope=${two.join('%20')}`, `scope=${two[0]}&scope=${two[1]}`])
      expect(issuedOf(await get(`?${query}`, alice)).scope).toBe(two.join(' '))
  })

  it('without a credential is for anonymous, who gets a token for nothing', async () => {
    expect(issuedOf(await get(`?scope=${scope}`)).scope).toBe('')
  })

  it('tells a wrong credential with how to sign in, and in back-off when to come again', async () => {
    const wrong = await get('', basic('mallory', 'guess'))
    expect(wrong).toMatchObject({ status: 401, codes: ['UNAUTHORIZED'] })
    expect(wrong.headers['www-authenticate']).toBe('Basic realm="registry.test", charset="UTF-8"')
    let answer = wrong
    for (let at = 0; at < 20 && answer.status === 401; at++) answer = await get('', basic('mallory', `guess${at}`))
    expect(answer).toMatchObject({ status: 429, codes: ['TOOMANYREQUESTS'] })
    expect(answer.headers['retry-after']).toMatch(/^[1-9]\d*$/)
    who.clock.ms += 3_600_000
  })

  it.each([
    ['another service', '?service=other', 400],
    ['more scopes than anybody needs', `?scope=${'repository:a:pull%20'.repeat(101)}`, 400],
    ['a target longer than any', `?scope=${'a'.repeat(15_000)}`, 200],
    ['what is no scope', '?scope=%00:::%20%22', 200]
  ])('with %s', async (_, query, status) => {
    expect((await get(query, alice)).status).toBe(status)
  })

  it('takes no bearer token for another', async () => {
    const { token } = issuedOf(await get('', alice))
    expect(await get('', `Bearer ${token}`)).toMatchObject({ status: 401, codes: ['UNAUTHORIZED'] })
  })
})

describe('POST /token', () => {
  it('signs in with a password, and again with the refresh token', async () => {
    const first = issuedOf(
      await post({
        grant_type: 'password',
        username: 'alice',
        password: 'p:ss wörd&+%',
        service: 'registry.test',
        client_id: 'docker',
        access_type: 'offline',
        scope
      })
    )
    expect(first.refresh_token).toMatch(/^pinnacer_/)
    const again = issuedOf(
      await post({ grant_type: 'refresh_token', refresh_token: first.refresh_token ?? '', client_id: 'docker', scope })
    )
    expect(again.scope).toBe(scope)
    expect(issuedOf(await get(`?offline_token=true&scope=${scope}`, alice)).refresh_token).toMatch(/^pinnacer_/)
  })

  it.each([
    ['no grant type', {}, 400],
    ['another grant type', { grant_type: 'client_credentials' }, 400],
    ['no password', { grant_type: 'password', username: 'alice' }, 400],
    ['no refresh token', { grant_type: 'refresh_token', username: 'alice' }, 400],
    ['a wrong password', { grant_type: 'password', username: 'alice', password: 'no' }, 401],
    ['a refresh token of nobody', { grant_type: 'refresh_token', refresh_token: 'pinnacer_x' }, 401],
    ['another service', { grant_type: 'password', username: 'alice', password: 'x', service: 'other' }, 400]
  ])('with %s', async (_, form: Record<string, string>, status) => {
    const answer = await post(form)
    expect(answer.status).toBe(status)
    expect(answer.headers['www-authenticate']).toBe(
      status === 401 ? 'Basic realm="registry.test", charset="UTF-8"' : undefined
    )
  })

  it('takes a form only, and one that fits', async () => {
    expect((await post('{}', { 'Content-Type': 'application/json' })).status).toBe(415)
    const large = `grant_type=password&username=alice&password=${'x'.repeat(70_000)}`
    expect(await post(large)).toMatchObject({ status: 413, codes: ['UNSUPPORTED'] })
    expect((await post(large, { 'Transfer-Encoding': 'chunked' })).status).toBe(413)
  })
})

it('other methods are told which there are', async () => {
  for (const method of ['PUT', 'DELETE', 'HEAD', 'OPTIONS']) {
    const answer = await server.ask('/registry/token', { method })
    expect(answer.status).toBe(405)
    expect(answer.headers.allow).toBe('GET, POST')
  }
  for (const path of ['/token', '/registry/token/', '/registry/tokens'])
    expect((await server.ask(path)).status).toBe(404)
})

it('nothing secret is ever logged', async () => {
  const { token } = issuedOf(await get(`?scope=${scope}&password=p:ss`, alice))
  await server.ask('/registry/v2/team/app/tags/list', { headers: { Authorization: `Bearer ${token}x` } })
  await get('', basic('alice', 'nearly-right'))
  const text = JSON.stringify(server.log.lines)
  expect(text).toContain('/registry/token')
  for (const secret of [token, 'p:ss', 'nearly-right', alice.slice(6), btoa('alice:nearly-right'), 'pinnacer_'])
    expect(text).not.toContain(secret)
})

describe('the realm of the challenge', () => {
  const challengeOf = async (app: Parameters<typeof startServer>[0], headers: Record<string, string> = {}) => {
    const other = await startServer({ ...app, components: { authentication: who.authentication } })
    try {
      const prefix = app?.app?.prefix ?? ''
      return String((await other.ask(`${prefix}/v2/`, { headers })).headers['www-authenticate'])
    } finally {
      await other.close()
    }
  }

  it.each([
    [{}, { Host: 'reg.localhost:5000' }, 'http://reg.localhost:5000/token'],
    [{ prefix: '/r' }, { Host: 'reg.localhost' }, 'http://reg.localhost/r/token'],
    [{ host: 'https://pub.example' }, { Host: 'localhost' }, 'https://pub.example/token'],
    [{ host: 'https://pub.example/x/', prefix: '/r' }, {}, 'https://pub.example/x/token'],
    [
      {},
      { Host: 'reg.localhost', 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'https' },
      'http://reg.localhost/token'
    ],
    [
      { trustProxy: ['loopback'] },
      { Host: 'in.localhost', 'X-Forwarded-Host': 'out.example', 'X-Forwarded-Proto': 'https' },
      'https://out.example/token'
    ]
  ])('%j with %j is %s', async (app, headers: Record<string, string>, realm) => {
    expect(await challengeOf({ app }, headers)).toBe(`Bearer realm="${realm}",service="registry.test"`)
  })
})
