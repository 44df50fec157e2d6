import { mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hash } from '@node-rs/bcrypt'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { anonymous, type Subject } from '../../src/access/subject.ts'
import { loadConfig } from '../../src/config.ts'
import { NodeAccess } from '../../src/node/access.ts'
import { followConfig } from '../../src/node/follow-config.ts'
import type { ServedNode } from '../../src/node/serve.ts'
import { serveNode } from '../../src/node.ts'
import { basic } from '../access/authenticated.ts'
import { home } from '../config/fixture.ts'
import { RecordedLog } from '../credentials/recorded-log.ts'

let folder: string
let path: string
let log: RecordedLog
const opened: { close(): Promise<void> }[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pinnace-follow-'))
  path = join(folder, 'config.yml')
  log = new RecordedLog()
})
afterEach(async () => {
  for (const it of opened.splice(0).reverse()) await it.close()
  await rm(folder, { recursive: true })
})

const times = { pollMs: 50, settleMs: 10 }
const soon = <T>(what: () => T) => vi.waitFor(what, { timeout: 10_000, interval: 10 })
/** As editors do: another file, moved over it. */
async function write(text: string): Promise<void> {
  await writeFile(`${path}.new`, `version: 0.1\n${text}\n`)
  await rename(`${path}.new`, path)
}
const inForce = (count: number) => soon(() => expect(log.of('info')).toHaveLength(count))
const refused = (count: number) => soon(() => expect(log.of('error')).toHaveLength(count))

const users = 'auth: {htpasswd: {path: /p}}'
const alice: Subject = { kind: 'user', name: 'alice', groups: [] }

/** Access that follows the file, which says this at the start, and what audits it. */
async function follow(text: string, environment: Record<string, string> = {}) {
  await write(text)
  const load = () => loadConfig({ file: path, environment: { ...home, ...environment } })
  const { config, warnings } = await load()
  const access = new NodeAccess(config)
  const record = vi.fn()
  const follower = await followConfig(config, { path, load, warnings, ...times }, { access, log, audit: { record } })
  opened.push(follower)
  return {
    access,
    record,
    may: (subject: Subject, repository: string) => access.authorize(subject, 'pull', repository)
  }
}

const pulls = (subject: string, repositories: string) =>
  `{subject: ${subject}, repositories: ${repositories}, actions: [pull]}`

describe('rules in the configuration file', () => {
  it('count as they were written last', async () => {
    const { may, record } = await follow(`access: [${pulls('anonymous', 'a')}]`)
    expect([may(anonymous, 'a'), may(anonymous, 'b')]).toEqual([true, false])
    await write(`access: [${pulls('anonymous', 'b')}]`)
    await inForce(1)
    expect([may(anonymous, 'a'), may(anonymous, 'b')]).toEqual([false, true])
    expect(log.of('info')[0]).toMatch(/"keys":\["access"\].*in force from the next request on/)
    expect(record.mock.calls).toEqual([
      [{ subject: 'operator', action: 'config', reference: 'access', outcome: 'allowed' }]
    ])
    await write('access: []')
    await inForce(2)
    expect([may(anonymous, 'a'), may(anonymous, 'b')]).toEqual([false, false])
  })

  it('may be left out, which gives users what they have without any', async () => {
    const { may } = await follow(`${users}\naccess: []`)
    expect(may(alice, 'a')).toBe(false)
    await write(users)
    await inForce(1)
    expect([may(alice, 'a'), may(anonymous, 'a')]).toEqual([true, false])
  })

  it('and immutable tags alike', async () => {
    const { access } = await follow('')
    expect(access.immutable('a', 'v1')).toBeUndefined()
    await write('immutable: [{repositories: a, tags: v*}]')
    await inForce(1)
    expect(access.immutable('a', 'v1')).toBeDefined()
  })

  it('and what is open where nobody is asked', async () => {
    const exposed = 'http: {host: "https://r.example.org"}'
    const { access } = await follow(`${exposed}\naccess: open`)
    expect([access.authorize(anonymous, 'delete', 'a'), access.openHint()]).toEqual([true, undefined])
    await write(exposed)
    await inForce(1)
    expect(access.authorize(anonymous, 'delete', 'a')).toBe(false)
    expect(access.openHint()).toContain('access: open')
  })

  it('are read behind a symbolic link that points elsewhere, as Kubernetes does', async () => {
    await writeFile(join(folder, 'a.yml'), `version: 0.1\naccess: [${pulls('anonymous', 'a')}]\n`)
    await writeFile(join(folder, 'b.yml'), `version: 0.1\naccess: [${pulls('anonymous', 'b')}]\n`)
    const { may } = await follow('access: []')
    for (const name of ['a', 'b']) {
      await symlink(`${name}.yml`, `${path}.link`)
      await rename(`${path}.link`, path)
      await soon(() => expect(may(anonymous, name)).toBe(true))
    }
    expect(may(anonymous, 'a')).toBe(false)
  })

  it('are followed from what the start has read on', async () => {
    await write(`access: [${pulls('anonymous', 'a')}]`)
    const load = () => loadConfig({ file: path, environment: home })
    const { config, warnings } = await load()
    const access = new NodeAccess(config)
    await write('access: []')
    opened.push(await followConfig(config, { path, load, warnings, ...times }, { access, log }))
    expect(access.authorize(anonymous, 'pull', 'a')).toBe(false)
  })

  it('do not win over the environment', async () => {
    const rule = JSON.stringify([{ subject: 'anonymous', repositories: 'a', actions: ['pull'] }])
    const { may } = await follow('access: []', { REGISTRY_ACCESS: rule })
    await write('access: []\nimmutable: [{repositories: a, tags: v*}]')
    await inForce(1)
    expect(may(anonymous, 'a')).toBe(true)
  })
})

describe('a version of the configuration file that cannot be used', () => {
  it.each([
    ['no YAML', 'access: [', /:\d/],
    ['a wrong value', `access: [${pulls('nobody', 'a')}]`, /config\.yml:2: access\[0\]\.subject.*nobody/],
    ['a wrong value elsewhere', 'access: []\nhttp: {addr: 7}', /config\.yml:3: http\.addr/],
    ['nobody asked who they are', '', /whether callers are asked who they are is decided at the start/]
  ])('leaves the last good one in force: %s', async (_, text, message) => {
    const { may, record } = await follow(`access: [${pulls('anonymous', 'a')}]`)
    await write(text)
    await refused(1)
    expect(log.of('error')[0]).toMatch(message)
    expect(log.of('error')[0]).toContain('what it said before holds')
    expect([may(anonymous, 'a'), may(anonymous, 'b')]).toEqual([true, false])
    expect(record).toHaveBeenCalledWith({ subject: 'operator', action: 'config', outcome: 'failed' })
    await write(`access: [${pulls('anonymous', 'b')}]`)
    await inForce(1)
    expect([may(anonymous, 'a'), may(anonymous, 'b')]).toEqual([false, true])
  })

  it('leaves it in force: gone, and a folder', async () => {
    const { may } = await follow(`access: [${pulls('anonymous', 'a')}]`)
    await unlink(path)
    await refused(1)
    await symlink(folder, path)
    await refused(2)
    expect(log.of('error')).toEqual(Array(2).fill(expect.stringMatching(/it is no file, or gone/)))
    expect(may(anonymous, 'a')).toBe(true)
  })
})

describe('what counts from the next start on', () => {
  it('is told once each, while it differs from the start', async () => {
    await follow('access: []')
    const warnings = () =>
      log.of('warn').map(line => /: (\S+) changed, which counts from the next start on$/.exec(line)?.[1])
    await write('access: []\nhttp: {prefix: /r/}')
    await soon(() => expect(warnings()).toEqual(['http.prefix']))
    await write('access: []\nhttp: {prefix: /r/}\nlog: {level: debug}')
    await soon(() => expect(warnings()).toEqual(['http.prefix', 'log.level']))
    await write(`access: [${pulls('anonymous', 'a')}]`)
    await inForce(1)
    await write('access: []\nhttp: {prefix: /r/}')
    await soon(() => expect(warnings()).toEqual(['http.prefix', 'log.level', 'http.prefix']))
  })

  it('advice is told when it is new', async () => {
    await follow('access: []')
    await write(`access: [${pulls('user:bob', 'a')}]`)
    await soon(() =>
      expect(log.of('warn')).toEqual([expect.stringMatching(/user:bob.*no users without auth.htpasswd/)])
    )
  })
})

it('what is no file is read once', async () => {
  const load = vi.fn()
  const { config } = await loadConfig({ environment: home })
  const components = { access: new NodeAccess(config), log }
  opened.push(await followConfig(config, { path: '/dev/null', load, warnings: [] }, components))
  expect(load).not.toHaveBeenCalled()
})

describe('a node whose rules change', () => {
  let node: ServedNode
  afterEach(async () => {
    await node?.close()
  })

  const text = (
    rules: string,
    more = ''
  ) => `storage: {filesystem: {rootdirectory: ${join(folder, 'data')}}, delete: {enabled: true}}
http: {addr: "127.0.0.1:0"}
ipfs: {listen: []}
auth: {htpasswd: {path: ${join(folder, 'htpasswd')}}}
access: [${rules}]
${more}`

  async function serve(content: string): Promise<string> {
    await writeFile(join(folder, 'htpasswd'), `alice:${await hash('secret', 4)}\n`, { mode: 0o600 })
    await write(content)
    const load = () => loadConfig({ file: path, environment: home })
    const { config, warnings } = await load()
    node = await serveNode(config, { log, version: 'test', configFile: { path, load, warnings, ...times } })
    return node.addresses[0] ?? expect.fail('it listens nowhere')
  }

  const changed = async (content: string) => {
    const before = log.of('info').filter(line => line.includes('in force')).length
    await write(content)
    await soon(() => expect(log.of('info').filter(line => line.includes('in force'))).toHaveLength(before + 1))
  }

  it('asks them at the next request, whatever credential was good before', async () => {
    const mine = '{subject: user:alice, repositories: a, actions: [push, pull]}'
    const url = await serve(text(`${mine}, ${pulls('anonymous', 'p')}`))
    const password = basic('alice', 'secret')
    const scope = 'repository:a:pull,push'
    const answer = await fetch(`${url}/token?scope=${scope}`, { headers: { authorization: password } })
    const { token }: { token: string } = JSON.parse(await answer.text())
    const asked = async (repository: string, authorization?: string) => {
      const response = await fetch(`${url}/v2/${repository}/manifests/none`, {
        headers: authorization === undefined ? {} : { authorization }
      })
      return response.status
    }
    const statuses = async () => [await asked('a', password), await asked('a', `Bearer ${token}`), await asked('p')]
    expect(await statuses()).toEqual([404, 404, 404])
    const upload = await fetch(`${url}/v2/a/blobs/uploads/`, { method: 'POST', headers: { authorization: password } })
    expect(upload.status).toBe(202)
    await changed(text(''))
    expect(await statuses()).toEqual([403, 403, 401])
    const location = new URL(upload.headers.get('location') ?? '', url)
    const headers = { authorization: password, 'content-type': 'application/octet-stream' }
    expect((await fetch(location, { method: 'PATCH', headers, body: 'x' })).status).toBe(403)
    await changed(text(mine))
    expect(await statuses()).toEqual([404, 404, 401])
    expect((await fetch(location, { method: 'PATCH', headers, body: 'x' })).status).toBe(202)
  })

  it('keeps a tag where it is that has become immutable', async () => {
    const url = await serve(text('{subject: user:alice, repositories: "**", actions: [admin]}'))
    const headers = {
      authorization: basic('alice', 'secret'),
      'content-type': 'application/vnd.oci.image.index.v1+json'
    }
    const put = async (annotation: string) => {
      const body = JSON.stringify({
        schemaVersion: 2,
        mediaType: headers['content-type'],
        manifests: [],
        annotations: { annotation }
      })
      return (await fetch(`${url}/v2/a/manifests/v1`, { method: 'PUT', headers, body })).status
    }
    expect([await put('one'), await put('two')]).toEqual([201, 201])
    await changed(
      text('{subject: user:alice, repositories: "**", actions: [admin]}', 'immutable: [{repositories: a, tags: v*}]')
    )
    expect([await put('two'), await put('three')]).toEqual([201, 403])
    expect((await fetch(`${url}/v2/a/manifests/v1`, { method: 'DELETE', headers })).status).toBe(403)
  })
})
