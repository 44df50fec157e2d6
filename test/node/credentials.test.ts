import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hash } from '@node-rs/bcrypt'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ConfigError } from '../../src/config.ts'
import type { ServedNode } from '../../src/node/serve.ts'
import { serveNode } from '../../src/node.ts'
import { basic } from '../access/authenticated.ts'
import { loadText } from '../config/fixture.ts'
import { RecordedLog } from '../credentials/recorded-log.ts'
import { publicJwk, Signer, sign } from '../credentials/signer.ts'
import { describeWithTools } from '../interop/tools.ts'

let folder: string
let log: RecordedLog
let node: ServedNode | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pinnace-credentials-'))
  log = new RecordedLog()
})
afterEach(async () => {
  await node?.close()
  node = undefined
  await rm(folder, { recursive: true })
})

const at = (name: string): string => join(folder, name)
const line = async (name: string, password: string) => `${name}:${await hash(password, 4)}\n`
const storage = () =>
  `storage: {filesystem: {rootdirectory: ${at('data')}}}\nhttp: {addr: "127.0.0.1:0"}\nipfs: {listen: []}`

/** Base URL of a node with some more configuration. */
async function serve(text: string): Promise<string> {
  const { config } = await loadText(`version: 0.1\n${storage()}\n${text}\n`)
  node = await serveNode(config, { log, version: 'test' })
  return node.addresses[0] ?? expect.fail('it listens nowhere')
}

const get = (url: string, authorization?: string) =>
  fetch(url, authorization === undefined ? {} : { headers: { authorization } })
const statusOf = async (url: string, authorization?: string) => (await get(url, authorization)).status

describe('a node with htpasswd', () => {
  const guarded = () => `auth: {htpasswd: {path: ${at('htpasswd')}, groups: ${at('groups')}}}`

  it('CVE-2026-4404: does not start without its file, and makes no user up', async () => {
    await writeFile(at('groups'), '')
    const starting = serve(guarded())
    await expect(starting).rejects.toBeInstanceOf(ConfigError)
    await expect(starting).rejects.toThrow(/auth\.htpasswd.*htpasswd.*ENOENT/)
    expect(await readdir(folder)).not.toContain('htpasswd')
  })

  it('does not start with a file that is broken, naming file and line and nothing in it', async () => {
    await writeFile(at('groups'), '')
    await writeFile(at('htpasswd'), `${await line('a', 'b')}bob:hunter2\n`)
    const error: unknown = await serve(guarded()).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ConfigError)
    expect(String(error)).toMatch(/htpasswd, line 2/)
    expect(String(error)).not.toContain('hunter2')
  })

  it('takes passwords, bearers and refresh tokens, and knows the next request what changed', async () => {
    await writeFile(at('htpasswd'), await line('alice', 'correct horse'))
    await writeFile(at('groups'), 'dev: alice\n')
    const url = await serve(`${guarded()}\naccess:\n  - {subject: group:dev, repositories: team/**, actions: [pull]}`)
    const password = basic('alice', 'correct horse')
    expect(await statusOf(`${url}/v2/`)).toBe(401)
    expect(await statusOf(`${url}/v2/`, password)).toBe(200)
    expect(await statusOf(`${url}/v2/`, basic('alice', 'wrong'))).toBe(401)
    expect(await statusOf(`${url}/v2/team/app/tags/list`, password)).toBe(404)
    expect(await statusOf(`${url}/v2/other/app/tags/list`, password)).toBe(403)

    const form = { grant_type: 'password', username: 'alice', password: 'correct horse', access_type: 'offline' }
    const scope = 'repository:team/app:pull,push'
    const asking = { method: 'POST', body: new URLSearchParams({ ...form, service: 'pinnace', scope }) }
    const answer: unknown = await (await fetch(`${url}/token`, asking)).json()
    expect(answer).toMatchObject({
      access_token: expect.any(String),
      refresh_token: expect.stringMatching(/^pinnacer_/)
    })
    const bearer = `Bearer ${String(Reflect.get(Object(answer), 'access_token'))}`
    expect(await statusOf(`${url}/v2/team/app/tags/list`, bearer)).toBe(404)

    await writeFile(at('groups'), 'dev: nobody\n')
    await vi.waitFor(async () => expect(await statusOf(`${url}/v2/team/app/tags/list`, bearer)).toBe(403), 10_000)
    expect(await statusOf(`${url}/v2/team/app/tags/list`, password)).toBe(403)
    await writeFile(at('htpasswd'), await line('alice', 'battery staple'))
    await vi.waitFor(async () => expect(await statusOf(`${url}/v2/`, password)).toBe(401), 10_000)
    expect(await statusOf(`${url}/v2/`, bearer)).toBe(401)
    const refresh = String(Reflect.get(Object(answer), 'refresh_token'))
    const again = { method: 'POST', body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refresh }) }
    expect((await fetch(`${url}/token`, again)).status).toBe(401)
    expect(await statusOf(`${url}/v2/`, basic('alice', 'battery staple'))).toBe(200)
    for (const secret of ['correct horse', 'battery staple', refresh, bearer]) {
      expect(log.lines.join('\n')).not.toContain(secret)
    }
  })

  it('slows guessing down, and says for how long', async () => {
    await writeFile(at('htpasswd'), await line('alice', 'correct horse'))
    await writeFile(at('groups'), '')
    const url = await serve(guarded())
    const statuses: number[] = []
    let answer = await get(`${url}/v2/`, basic('alice', 'guess'))
    // However slow the machine is: each wait is twice the one before.
    for (let n = 0; answer.status !== 429 && n < 20; n++) {
      statuses.push(answer.status)
      answer = await get(`${url}/v2/`, basic('alice', `guess ${n}`))
    }
    expect(answer.status).toBe(429)
    expect(statuses.length).toBeGreaterThanOrEqual(5)
    expect(new Set(statuses)).toEqual(new Set([401]))
    expect(answer.headers.get('Retry-After')).toMatch(/^[1-9]\d*$/)
    expect(await answer.json()).toMatchObject({ errors: [{ code: 'TOOMANYREQUESTS' }] })
    await appendFile(at('htpasswd'), await line('bob', 'pw'))
    await vi.waitFor(async () => expect(await statusOf(`${url}/v2/`, basic('bob', 'pw'))).toBe(200), 10_000)
  })
})

describe('a node with rules alone', () => {
  it('takes its own tokens and no passwords', async () => {
    const url = await serve('access:\n  - {subject: anonymous, repositories: public/**, actions: pull}')
    expect(await statusOf(`${url}/v2/`)).toBe(401)
    expect(await statusOf(`${url}/v2/public/a/tags/list`)).toBe(404)
    expect(await statusOf(`${url}/v2/a/tags/list`)).toBe(401)
    const answer = await get(`${url}/v2/`, basic('alice', 'x'))
    expect(answer.status).toBe(401)
    expect(await answer.json()).toMatchObject({
      errors: [{ message: expect.stringMatching(/no passwords.*token create/) }]
    })
  })
})

describe('a node without auth', () => {
  it('asks nobody', async () => {
    const url = await serve('')
    expect(await statusOf(`${url}/v2/`)).toBe(200)
    expect(await statusOf(`${url}/v2/`, 'Bearer nonsense')).toBe(200)
  })
})

describeWithTools(['openssl'], 'a node with an external token server', () => {
  const token = (more: string) =>
    `auth: {token: {realm: "https://auth.test/token", service: registry.test, issuer: auth.test, ${more}}}`

  it('takes its tokens for what they say, and sends the others there', async () => {
    const signer = new Signer()
    const own = signer.certificate('own')
    const url = await serve(token(`rootcertbundle: ${own.cert}`))
    const challenge = (await get(`${url}/v2/team/app/tags/list`)).headers.get('WWW-Authenticate')
    expect(challenge).toBe(
      'Bearer realm="https://auth.test/token",service="registry.test",scope="repository:team/app:pull"'
    )
    expect((await fetch(`${url}/token`)).status).toBe(404)
    const now = Math.floor(Date.now() / 1000)
    const access = [{ type: 'repository', name: 'team/app', actions: ['pull'] }]
    const claims = { iss: 'auth.test', aud: 'registry.test', sub: 'alice', iat: now, exp: now + 60, access }
    const bearer = `Bearer ${await sign(own, { x5c: [own.x5c] }, claims)}`
    expect(await statusOf(`${url}/v2/team/app/tags/list`, bearer)).toBe(404)
    const other = await get(`${url}/v2/other/tags/list`, bearer)
    expect(other.status).toBe(401)
    expect(other.headers.get('WWW-Authenticate')).toContain('error="insufficient_scope"')
    const forged = `Bearer ${await sign(signer.certificate('stranger'), { jwk: await publicJwk(own) }, claims)}`
    expect(await statusOf(`${url}/v2/team/app/tags/list`, forged)).toBe(401)
    signer.close()
  })

  it('does not start with algorithms whose checker could sign, or without its file', async () => {
    await expect(serve(token('jwks: /p, signingalgorithms: [HS256]'))).rejects.toThrow(/signingalgorithms.*HS256/)
    await expect(serve(token(`jwks: ${at('missing.json')}`))).rejects.toThrow(/auth\.token: .*missing\.json.*ENOENT/)
  })
})
