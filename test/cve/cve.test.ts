/**
 * What went wrong in other registries, by its number, tried at the doors of a registry that asks who is there. The same
 * numbers stand in tests of single parts where those have a share in it.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAccess } from '../../src/access/authorize.ts'
import { createDebugApp } from '../../src/http/debug-app.ts'
import { createHttpMetrics } from '../../src/http/metrics.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { basic } from '../access/authenticated.ts'
import { type Guarded, rules, startGuarded, type Who } from '../access/guarded-server.ts'
import { type Ask, memoryLog } from '../http/serve.ts'
import { configBytes, descriptorOf, manifestOf, startServer, types } from '../oci-api/server.ts'
import { exchange, requestOf } from '../oci-api/wire.ts'
import { pushBlob, pushImage } from '../registry/temporary-registry.ts'

let guarded: Guarded
beforeAll(async () => {
  guarded = await startGuarded()
  for (const repository of ['team/app', 'public/app', 'closed/app']) {
    await pushBlob(guarded.server.store.registry, repository, configBytes)
    await pushImage(guarded.server.store.registry, repository, 'v1', [100])
  }
})
afterAll(() => guarded.close())

const registry = () => guarded.server.store.registry

async function as(who: Who, path: string, { headers, ...init }: Ask & { headers?: Record<string, string> } = {}) {
  const authorization = await guarded.headerOf(who, 'team/app')
  return guarded.server.ask(path, {
    ...init,
    headers: { ...headers, ...(authorization && { Authorization: authorization }) }
  })
}

const put = (who: Who, path: string, body: Uint8Array, type: string = types.manifest) =>
  as(who, path, { method: 'PUT', headers: { 'Content-Type': type }, body })

const note = (text: string) => manifestOf([], { annotations: { note: text } })

describe('CVE-2023-2253: a huge n of _catalog', () => {
  it.each(['4294967296', '9007199254740991', '18446744073709551616', '1e100', '-1', 'NaN', '0x7fffffff'])(
    'allocates nothing: %s',
    async n => {
      for (const path of ['/v2/_catalog', '/v2/team/app/tags/list']) {
        const before = process.memoryUsage().rss
        const answer = await as('admin token', `${path}?n=${n}`)
        expect([200, 400]).toContain(answer.status)
        expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024)
      }
    }
  )

  it('gives a page of the limit, and the next one by its link', async () => {
    const small = await startServer({ app: { limits: { pageSize: 2 } }, store: guarded.server.store })
    try {
      const answer = await small.ask('/v2/_catalog?n=1000000')
      expect(JSON.parse(answer.body.toString()).repositories).toHaveLength(2)
      expect(answer.headers.link).toContain('rel="next"')
    } finally {
      await small.close()
    }
  })
})

it('CVE-2026-35172: what was deleted is not read again from a cache', async () => {
  const bytes = randomBytes(1000)
  const digest = await pushBlob(registry(), 'team/app', bytes)
  const path = `/v2/team/app/blobs/${digest}`
  const manifest = note('soon gone')
  const tag = '/v2/team/app/manifests/soon-gone'
  await put('user', tag, manifest)
  for (const kept of [path, tag, tag, path]) expect((await as('user', kept)).status).toBe(200)
  for (const gone of [path, `/v2/team/app/manifests/${digestOf(manifest)}`])
    expect((await as('user in group', gone, { method: 'DELETE' })).status).toBe(202)
  for (const gone of [path, tag, `/v2/team/app/manifests/${digestOf(manifest)}`]) {
    for (const method of ['GET', 'HEAD'])
      for (const headers of [{}, { 'If-None-Match': `"${digest}"` }, { Range: 'bytes=0-1' }])
        expect((await as('user', gone, { method, headers })).status).toBe(404)
  }
  const mount = await as('user', `/v2/team/other/blobs/uploads/?mount=${digest}&from=team/app`, { method: 'POST' })
  expect(mount.status).toBe(202)
})

it('CVE-2026-41888: where deletion is off, a tag stays too, whoever asks', async () => {
  const closed = await startGuarded({ deleteEnabled: false })
  try {
    const { digest } = await pushImage(closed.server.store.registry, 'team/app', 'v1', [10])
    const headers = { Authorization: (await closed.headerOf('admin token', '')) ?? '' }
    for (const reference of ['v1', digest]) {
      const answer = await closed.server.ask(`/v2/team/app/manifests/${reference}`, { method: 'DELETE', headers })
      expect(answer).toMatchObject({ status: 405, codes: ['UNSUPPORTED'] })
    }
    expect((await closed.server.ask('/v2/team/app/manifests/v1', { headers })).status).toBe(200)
  } finally {
    await closed.close()
  }
})

describe('CVE-2021-41190: a document that two clients read as two things is refused', () => {
  const config = descriptorOf(types.config, configBytes)
  const image = { schemaVersion: 2, mediaType: types.manifest, config, layers: [] }
  const index = { schemaVersion: 2, mediaType: types.index, manifests: [] }
  it.each([
    ['an image with manifests', { ...image, manifests: [] }, types.manifest],
    ['an index with layers', { ...index, layers: [] }, types.index],
    ['an index with a config', { ...index, config }, types.index],
    ['an image sent as an index', image, types.index],
    ['an index sent as an image', index, types.manifest],
    ['both, sent as nothing', { ...image, mediaType: undefined, manifests: [] }, '']
  ])('%s', async (_, document, type) => {
    const answer = await put('user', '/v2/team/app/manifests/two-faces', Buffer.from(JSON.stringify(document)), type)
    expect(answer).toMatchObject({ status: 400, codes: ['MANIFEST_INVALID'] })
    expect((await as('user', '/v2/team/app/manifests/two-faces')).status).toBe(404)
  })
})

describe('CVE-2024-39897: a digest that exists somewhere is no right to read it', () => {
  it('neither by mounting it nor by reading it where one may', async () => {
    const digest = await pushBlob(registry(), 'closed/app', randomBytes(100))
    const absent = digestOf(randomBytes(100))
    for (const name of [digest, absent]) {
      for (const from of ['&from=closed/app', ''])
        expect((await as('user', `/v2/team/app/blobs/uploads/?mount=${name}${from}`, { method: 'POST' })).status).toBe(
          202
        )
      for (const method of ['GET', 'HEAD'])
        expect((await as('user', `/v2/team/app/blobs/${name}`, { method })).status).toBe(404)
    }
  })

  it('nor by a manifest that names it', async () => {
    const secret = randomBytes(100)
    await pushBlob(registry(), 'closed/app', secret)
    const answer = await put('user', '/v2/team/app/manifests/thief', manifestOf([secret]))
    expect(answer).toMatchObject({ status: 404, codes: ['MANIFEST_BLOB_UNKNOWN'] })
  })

  it('nor by an index with a private child', async () => {
    const child = note('private')
    await registry().putManifest('closed/app', { bytes: child, mediaType: types.manifest, tags: [] })
    const manifests = [descriptorOf(types.manifest, child)]
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests }))
    expect((await put('user', '/v2/team/app/manifests/thief', index, types.index)).status).toBe(404)
    expect((await as('user', `/v2/team/app/manifests/${digestOf(child)}`)).status).toBe(404)
  })
})

describe('CVE-2026-31801: who may only create moves no tag', () => {
  it('neither under its name nor by ?tag=, with or without a condition', async () => {
    const latest = '/v2/team/app/manifests/latest'
    const first = note('first')
    expect((await put('create token', latest, first)).status).toBe(201)
    const other = note('other')
    const headers = { 'Content-Type': types.manifest }
    for (const [path, condition] of [
      [latest, {}],
      [latest, { 'If-Match': `"${digestOf(first)}"` }],
      [`/v2/team/app/manifests/${digestOf(other)}?tag=latest`, {}],
      ['/v2/team/app/manifests/brand-new?tag=latest', {}]
    ] as const) {
      const answer = await as('create token', path, {
        method: 'PUT',
        headers: { ...headers, ...condition },
        body: other
      })
      expect(answer).toMatchObject({ status: 403, codes: ['DENIED'] })
      expect(answer.body.toString()).toContain('latest')
    }
    expect((await as('user', latest)).headers['docker-content-digest']).toBe(digestOf(first))
    expect((await as('user', '/v2/team/app/manifests/brand-new')).status).toBe(404)
  })

  it('nor changes what a manifest is, by pushing its bytes again under another media type', async () => {
    const bytes = manifestOf([], { mediaType: undefined, annotations: { note: 'typed' } })
    const tag = '/v2/team/app/manifests/typed'
    const other = 'application/vnd.example.config+json'
    const typeOf = async () => (await as('user', tag)).headers['content-type']
    expect((await put('user', tag, bytes)).status).toBe(201)
    for (const path of [tag, `/v2/team/app/manifests/${digestOf(bytes)}`, `${tag}-2`]) {
      const answer = await put('create token', path, bytes, other)
      expect(answer).toMatchObject({ status: 403, codes: ['DENIED'] })
      expect(answer.body.toString()).toContain(types.manifest)
      expect(await typeOf()).toBe(types.manifest)
    }
    expect((await put('create token', tag, bytes)).status).toBe(201)
    expect((await put('user', tag, bytes, other)).status).toBe(201)
    expect(await typeOf()).toBe(other)
    // Under an immutable tag nobody does.
    expect((await put('user', '/v2/team/app/manifests/fixed-typed', bytes, other)).status).toBe(201)
    const answer = await put('user', tag, bytes)
    expect(answer).toMatchObject({ status: 403, codes: ['DENIED'] })
    expect(answer.body.toString()).toContain('fixed-typed')
    expect(await typeOf()).toBe(other)
  })

  it('also when many race: one wins, the others are refused', async () => {
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, at) => put('create token', '/v2/team/app/manifests/raced', note(`racer ${at}`)))
    )
    const statuses = all.map(answer => answer.status)
    expect(statuses.filter(status => status === 201)).toHaveLength(1)
    expect(statuses.filter(status => status === 403)).toHaveLength(11)
    const won = digestOf(note(`racer ${statuses.indexOf(201)}`))
    expect((await as('user', '/v2/team/app/manifests/raced')).headers['docker-content-digest']).toBe(won)
  })
})

it('GHSA-c9p4-xwr9-rfhx: who was taken from a group does not get in by it, whatever was issued before', async () => {
  const { who, server } = guarded
  await who.user('pat', 'secret', ['keepers'])
  const password = basic('pat', 'secret')
  const bearer = await who.bearer(password)
  const remove = async (header: string) => {
    const digest = await pushBlob(registry(), 'team/app', randomBytes(10))
    const headers = { Authorization: header }
    return (await server.ask(`/v2/team/app/blobs/${digest}`, { method: 'DELETE', headers })).status
  }
  expect([await remove(password), await remove(bearer)]).toEqual([202, 202])
  const entry = who.users.get('pat')
  if (entry === undefined) throw new Error('no such user')
  who.users.set('pat', { ...entry, groups: ['others'] })
  expect([await remove(password), await remove(bearer)]).toEqual([403, 403])
  const again = await server.ask('/token?scope=repository:team/app:delete', { headers: { Authorization: password } })
  expect(JSON.parse(again.body.toString()).scope).toBe('')
})

describe('CVE-2026-24124: nothing that works for the node is started by somebody unknown', () => {
  const jobs: readonly (readonly [string, object])[] = [
    ['/gc', {}],
    ['/scrub', { repair: true }],
    ['/rm', { repository: 'team/app', tag: 'v1' }],
    ['/inspect', { repository: 'closed/app', tag: 'v1' }],
    ['/tokens', { name: 'mine', grants: [{ repositories: '**', actions: ['admin'] }] }],
    ['/tokens/remove', { token: 'admin' }]
  ]
  it.each(jobs)('%s', async (path, body) => {
    const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
    for (const [who, status] of [
      ['anonymous', 401],
      ['anonymous bearer', 401],
      ['user', 403],
      ['push token', 403]
    ] as const)
      expect((await as(who, `/admin/v1${path}`, init)).status).toBe(status)
    // What a browser would send along by itself is not what lets in.
    const cookies = { Cookie: 'session=1', Origin: 'http://127.0.0.1' }
    const answer = await guarded.server.ask(`/admin/v1${path}`, { ...init, headers: { ...init.headers, ...cookies } })
    expect([401, 403]).toContain(answer.status)
    expect((await as('admin token', '/v2/team/app/manifests/v1')).status).toBe(200)
    expect(guarded.who.tokens.list().map(token => token.name)).not.toContain('mine')
  })

  it('nor read at the address for metrics', async () => {
    const access = { ...createAccess({ rules }), authentication: guarded.who.authentication }
    const app = createDebugApp({ log: memoryLog(), metrics: createHttpMetrics(), access })
    try {
      expect((await app.inject('/metrics')).statusCode).toBe(401)
    } finally {
      await app.close()
    }
  })
})

describe('zot 35c29b95: a manifest of more than 4 MiB', () => {
  const large = Buffer.alloc(4 * 1024 * 1024 + 1, 0x20)

  it.each([{}, { 'Transfer-Encoding': 'chunked' }])('is 413, with %j', async more => {
    const headers = { 'Content-Type': types.manifest, ...more }
    const answer = await as('user', '/v2/team/app/manifests/large', { method: 'PUT', headers, body: large })
    expect(answer).toMatchObject({ status: 413, codes: ['SIZE_INVALID'] })
  })

  it('is not even read of somebody who may not push', async () => {
    expect((await put('anonymous', '/v2/team/app/manifests/large', large)).status).toBe(401)
    expect((await put('pull token', '/v2/team/app/manifests/large', large)).status).toBe(403)
  })
})

describe('zot 9425ca8b: no answer sends a client elsewhere', () => {
  it.each([
    '/v2',
    '//evil.example/v2',
    '/v2//evil.example/',
    '/v2//evil.example/manifests/v1/',
    '/v2/%2f%2fevil.example/',
    '/v2/\\evil.example/',
    'http://evil.example/v2',
    'https://evil.example/v2/team/app/tags/list/',
    '/v2/team/app/blobs/uploads?state=//evil.example',
    '/v2/team/app/tags/list/?next=https://evil.example',
    '/token/?redirect=https://evil.example',
    '//evil.example/%2e%2e',
    '/admin/v1//evil.example'
  ])('%s', async target => {
    for (const method of ['GET', 'POST']) {
      const [answer] = await exchange(guarded.server.port, requestOf(method, target, ['Host: localhost']))
      const { location = '/' } = answer?.headers ?? {}
      expect(new URL(location, 'http://localhost/').origin).toBe('http://localhost')
      expect(answer?.headers['www-authenticate'] ?? '').not.toContain('evil')
    }
  })
})
