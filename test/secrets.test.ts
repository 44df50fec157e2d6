/**
 * Plants a secret of its own in every place that has one, uses the node in ways that succeed and ways that fail, and looks
 * for all of them in everything it says.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { OutgoingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hash } from '@node-rs/bcrypt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clockAndPlace } from './clock-and-place.ts'
import { createCertificate, hasOpenssl } from './http/certificate.ts'
import { basic } from './interop/auth/guarded.ts'
import { type Pinnace, startPinnace } from './interop/node.ts'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const plant = (what: string): string => `planted-${what}-${randomBytes(12).toString('hex')}`

const secrets = {
  httpSecret: plant('http-secret'),
  estuary: plant('estuary'),
  storj: plant('storj-file'),
  password: plant('password'),
  wrongPassword: plant('wrong'),
  nameTyped: plant('typed-as-name').slice(0, 60),
  bearer: plant('bearer'),
  jwt: `eyJhbGciOiJIUzI1NiJ9.${Buffer.from(plant('jwt')).toString('base64url')}.c2ln`,
  madeUpToken: `pinnace_${randomBytes(16).toString('hex')}`,
  userinfo: plant('userinfo'),
  query: plant('query'),
  form: plant('form'),
  refresh: `pinnacer_${randomBytes(16).toString('hex')}`,
  cookie: plant('cookie')
}

interface Answer {
  status: number
  headers: string
  body: string
}

let folder: string
let node: Pinnace
let audit: string
let passwordHash: string
let privateKey: string
/** Given to those who may have them: everywhere else they are secrets. */
const issued: string[] = []
/** Everything the node and its commands said. */
const said: string[] = []

/** One request whose answer is kept. `confidential`: the answer is a token, for whoever asked. */
async function ask(
  method: string,
  path: string,
  headers: OutgoingHttpHeaders = {},
  body?: string,
  confidential = false
): Promise<Answer> {
  const { hostname, port } = new URL(node.url)
  const options = { hostname, port, path, method, headers, rejectUnauthorized: false, agent: false }
  const answer = await new Promise<Answer>((resolve, reject) => {
    const sent = request(options, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', chunk => {
        text += chunk
      })
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.rawHeaders.join('\n'), body: text })
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
  said.push(answer.headers)
  if (!confidential) said.push(answer.body)
  return answer
}

/** A command that may fail, ended where it does not by itself; what it says is kept. */
async function command(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const options = {
    env: { PATH: process.env.PATH, HOME: folder, ...clockAndPlace(), ...env },
    timeout: 10_000,
    killSignal: 'SIGTERM'
  } as const
  const output = await new Promise<string>(resolve => {
    execFile(process.execPath, [main, ...args], options, (_error, stdout, stderr) => resolve(stdout + stderr))
  })
  said.push(output)
  return output
}

/** No secret in it, in no form that it may have taken on its way. */
function expectNoSecret(text: string, where: string): void {
  const all = { ...secrets, passwordHash, ...Object.fromEntries(issued.map((token, at) => [`issued${at}`, token])) }
  for (const [name, secret] of Object.entries(all)) {
    const forms = [secret, Buffer.from(secret).toString('base64').replace(/=+$/, ''), encodeURIComponent(secret)]
    for (const form of forms)
      expect(
        text.split('\n').filter(line => line.includes(form)),
        `${name} in ${where}`
      ).toEqual([])
  }
  for (const line of privateKey.split('\n').filter(line => line.length > 40 && !line.startsWith('-')))
    expect(text.includes(line), `the private key in ${where}`).toBe(false)
  expect(text, where).not.toMatch(/authorization"?\s*[:=]\s*"?(?:basic|bearer)\s/i)
}

describe.skipIf(!hasOpenssl)('secrets (needs: apt-get install openssl)', () => {
  let config: string
  let env: Record<string, string>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-secrets-'))
    audit = join(folder, 'audit.jsonl')
    const file = async (name: string, text: string | Buffer) => {
      await writeFile(join(folder, name), text, { mode: 0o600 })
      return join(folder, name)
    }
    passwordHash = await hash(secrets.password, 5)
    const { key, cert } = createCertificate()
    privateKey = key.toString()
    const settings = {
      auth: { htpasswd: { realm: 'test', path: await file('htpasswd', `alice:${passwordHash}\n`) } },
      access: [{ subject: 'user:alice', repositories: '**', actions: ['admin'] }],
      storage: { estuary: { 'auth-token': secrets.estuary }, storj: { bucket: 'b' } },
      http: { tls: { certificate: await file('cert.pem', cert), key: await file('key.pem', key) } },
      log: { level: 'debug', audit: { path: audit, pulls: true } }
    }
    env = {
      REGISTRY_HTTP_SECRET: secrets.httpSecret,
      REGISTRY_STORAGE_STORJ_ACCESSGRANT_FILE: await file('grant', `${secrets.storj}\n`)
    }
    node = await startPinnace({ config: settings, env })
    config = await file('config.yml', JSON.stringify({ version: 0.1, ...settings }))
  }, 60_000)
  afterAll(async () => {
    await node?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('are in no answer, log, audit entry, error or command line', async () => {
    const alice = { authorization: basic('alice', secrets.password) }
    const repository = '/v2/team/app'
    // What succeeds.
    const made = await node.pinnace(['token', 'create', '--name', 'ci', '--repo', '**', '--actions', 'pull'], { env })
    issued.push(made.stdout.trim())
    const scope = 'service=test&scope=repository:team/app:pull,push'
    const token = await ask('GET', `/token?${scope}&offline_token=true`, alice, undefined, true)
    expect(token.status).toBe(200)
    const { access_token: bearer, refresh_token: refresh } = JSON.parse(token.body)
    issued.push(bearer, refresh)
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const grant = `grant_type=refresh_token&refresh_token=${refresh}&client_id=x&${scope}`
    const again = await ask('POST', '/token', form, grant, true)
    expect(again.status).toBe(200)
    issued.push(JSON.parse(again.body).access_token)
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: []
    })
    const put = { ...alice, 'content-type': 'application/vnd.oci.image.index.v1+json' }
    expect((await ask('PUT', `${repository}/manifests/v1`, put, index)).status).toBe(201)
    for (const authorization of [`Bearer ${bearer}`, `Bearer ${issued[0]}`, basic('any', issued[0] ?? '')])
      expect((await ask('GET', `${repository}/manifests/v1`, { authorization })).status).toBe(200)

    // What does not.
    const wrong = [
      basic('alice', secrets.wrongPassword),
      basic(secrets.nameTyped, 'x'),
      `Bearer ${secrets.bearer}`,
      `Bearer ${secrets.jwt}`,
      `Bearer ${secrets.madeUpToken}`,
      `Basic ${secrets.bearer}`,
      `Digest response="${secrets.bearer}"`,
      `${secrets.bearer}`,
      `Bearer ${bearer}x`
    ]
    for (const authorization of wrong) {
      for (const path of ['/v2/', `${repository}/manifests/v1`, `/token?${scope}`, '/admin/v1/tokens', '/metrics'])
        await ask('GET', path, { authorization, cookie: `session=${secrets.cookie}` })
      await ask('DELETE', `${repository}/manifests/v1`, { authorization })
      await ask('POST', `${repository}/blobs/uploads/?access_token=${secrets.query}`, { authorization })
    }
    const grants = [
      `grant_type=password&username=alice&password=${secrets.form}&client_id=x&${scope}`,
      `grant_type=refresh_token&refresh_token=${secrets.refresh}&client_id=x&${scope}`,
      `grant_type=${secrets.form}&password=${secrets.form}`,
      `password=${secrets.form}`.repeat(3000)
    ]
    for (const body of grants) await ask('POST', '/token', form, body)
    await ask('GET', `/token?password=${secrets.query}&account=alice`, {})
    await ask('GET', `https://alice:${secrets.userinfo}@localhost/v2/team/app/tags/list`, alice)
    await ask('GET', `/v2/_catalog?n=x&token=${secrets.query}`, alice)
    await ask(
      'PUT',
      `${repository}/manifests/v2`,
      { ...put, 'x-secret': secrets.cookie },
      `{"password":"${secrets.form}"`
    )
    await ask('TRACE', `/?${secrets.query}`, alice).catch(() => undefined)

    // What commands say.
    said.push((await node.pinnace(['token', 'ls', '--all'], { env })).stdout)
    const printed = await command(['config', 'print', config], env)
    expect(printed).toContain('# storage.storj.accessgrant: set REGISTRY_STORAGE_STORJ_ACCESSGRANT or ')
    await command(['config', 'check', config], env)
    await command(['token', 'rm', secrets.madeUpToken, '--data', node.dataDir], env)
    await command(['ls', '--data', node.dataDir], env)
    said.push(await readFile(`/proc/${node.pid}/cmdline`, 'utf8'))

    for (const [at, text] of said.entries()) expectNoSecret(text, `what was said, ${at}: ${text.slice(0, 300)}`)
    await node.stop()
    expect(node.logs().length).toBeGreaterThan(5000)
    expectNoSecret(node.logs(), 'the log')
    const entries = await readFile(audit, 'utf8')
    expect(entries.split('\n').length).toBeGreaterThan(20)
    expectNoSecret(entries, 'the audit log')
  }, 120_000)

  it('are not in what a failed start says either', async () => {
    said.length = 0
    const broken = async (change: object) => {
      const path = join(folder, 'broken.yml')
      const whole: object = JSON.parse(await readFile(config, 'utf8'))
      await writeFile(path, JSON.stringify({ ...whole, ...change }))
      for (const args of [
        ['serve', path],
        ['config', 'check', path],
        ['config', 'print', path]
      ])
        await command([...args, '--data', join(folder, 'none')], env)
    }
    const plain = join(folder, 'plain-htpasswd')
    await writeFile(plain, `alice:${secrets.password}\n`)
    await broken({ auth: { htpasswd: { realm: 'r', path: plain } } })
    await broken({
      storage: { estuary: { 'auth-token': [secrets.estuary] }, storj: { accessgrant: { a: secrets.storj } } }
    })
    await broken({ storage: { estuary: { 'auth-token': `${secrets.estuary}\nsecond line` } } })
    await broken({ http: { host: `https://alice:${secrets.userinfo}@registry.example.com` } })
    await broken({ http: { secret: { nested: secrets.httpSecret } } })
    await command(['serve', config], { ...env, REGISTRY_STORAGE_STORJ_ACCESSGRANT: secrets.storj })
    for (const text of said) expect(text.length, 'a command that said nothing').toBeGreaterThan(10)
    for (const text of said) expectNoSecret(text, `a failed start: ${text.slice(0, 400)}`)
  }, 120_000)
})
