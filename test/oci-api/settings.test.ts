/** What the configuration changes about the API: deletion off, read-only, prefix, absolute locations, TLS, headers, limits. */
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { createCertificate, hasOpenssl } from '../http/certificate.ts'
import {
  configBytes,
  indexOf,
  locationOf,
  manifestOf,
  openSession,
  pushBlob,
  pushImage,
  putManifest,
  type Server,
  type ServerOptions,
  startServer,
  valuesOf
} from './server.ts'

async function serverWith(options: ServerOptions): Promise<Server> {
  const server = await startServer(options)
  onTestFinished(() => server.close())
  return server
}

describe('storage.delete.enabled: false', () => {
  let server: Server
  let digest: string
  beforeAll(async () => {
    server = await startServer({ app: { deleteEnabled: false } })
    digest = digestOf(await pushImage(server, 'app', 'v1'))
  })
  afterAll(() => server.close())

  it.each([
    ['a tag (CVE-2026-41888)', 'manifests/v1'],
    ['a manifest', 'manifests/{digest}'],
    ['a blob', `blobs/${digestOf(configBytes)}`],
    ['what is not there', 'manifests/v2']
  ])('end-9, end-10: 405 for %s', async (_, path) => {
    const answer = await server.ask(`/v2/app/${path.replace('{digest}', digest)}`, { method: 'DELETE' })
    expect(answer).toMatchObject({ status: 405, codes: ['UNSUPPORTED'] })
    expect(answer.headers.allow).not.toContain('DELETE')
  })

  it('everything is still there, and sessions can still be cancelled', async () => {
    for (const reference of ['v1', digest])
      expect((await server.ask(`/v2/app/manifests/${reference}`)).status).toBe(200)
    expect((await server.ask(`/v2/app/blobs/${digestOf(configBytes)}`)).status).toBe(200)
    const session = await openSession(server, 'app')
    expect((await server.ask(session, { method: 'DELETE' })).status).toBe(204)
  })
})

describe('storage.maintenance.readonly', () => {
  it('reads everything and writes nothing', async () => {
    const writable = await serverWith({})
    const manifest = await pushImage(writable, 'app', 'v1')
    const session = await openSession(writable, 'app')
    const server = await serverWith({ app: { readOnly: true }, store: writable.store })
    const blob = digestOf(configBytes)
    for (const path of ['/v2/', '/v2/_catalog', '/v2/app/tags/list', '/v2/app/manifests/v1', `/v2/app/blobs/${blob}`]) {
      expect((await server.ask(path)).status).toBe(200)
    }
    expect((await server.ask(session)).status).toBe(204)
    for (const [method, path] of [
      ['POST', '/v2/app/blobs/uploads/'],
      ['POST', `/v2/other/blobs/uploads/?mount=${blob}&from=app`],
      ['POST', `/v2/app/blobs/uploads/?digest=${blob}`],
      ['PATCH', session],
      ['PUT', `${session}?digest=${blob}`],
      ['DELETE', session],
      ['PUT', '/v2/app/manifests/v2'],
      ['DELETE', '/v2/app/manifests/v1'],
      ['DELETE', `/v2/app/blobs/${blob}`]
    ] as const) {
      const answer = await server.ask(path, { method, body: method === 'DELETE' ? '' : manifest })
      expect(answer).toMatchObject({ status: 405, codes: ['UNSUPPORTED'], headers: { allow: expect.any(String) } })
    }
    expect((await server.ask('/v2/app/manifests/v1')).body.equals(manifest)).toBe(true)
    expect((await server.ask('/v2/app/tags/list')).body.toString()).toBe('{"name":"app","tags":["v1"]}')
  })
})

describe('http.prefix', () => {
  it('stands before every path, in Location and Link too', async () => {
    const server = await serverWith({ app: { prefix: '/team/registry/' } })
    expect((await server.ask('/v2/')).status).toBe(404)
    expect((await server.ask('/team/registry/v2/')).status).toBe(200)
    expect((await server.ask('/team/registryv2/')).status).toBe(404)
    const post = await server.ask('/team/registry/v2/app/blobs/uploads/', { method: 'POST' })
    expect(locationOf(post)).toMatch(/^\/team\/registry\/v2\/app\/blobs\/uploads\//)
    const put = await server.ask(locationOf(post, `digest=${digestOf(configBytes)}`), {
      method: 'PUT',
      body: configBytes
    })
    expect(put.headers.location).toBe(`/team/registry/v2/app/blobs/${digestOf(configBytes)}`)
    const bytes = manifestOf()
    const reference = `${digestOf(bytes)}?tag=a&tag=b`
    expect(
      (await server.ask(`/team/registry/v2/app/manifests/${reference}`, { method: 'PUT', body: bytes })).status
    ).toBe(201)
    const list = await server.ask('/team/registry/v2/app/tags/list?n=1')
    expect(list.headers.link).toBe('</team/registry/v2/app/tags/list?last=a&n=1>; rel="next"')
  })
})

describe('Location', () => {
  it('is absolute with http.host, whatever the request says', async () => {
    const server = await serverWith({ app: { host: 'https://registry.example.org:8443' } })
    const headers = { Host: 'elsewhere.example', 'X-Forwarded-Host': 'evil.example' }
    const post = await server.ask('/v2/app/blobs/uploads/', { method: 'POST', headers })
    expect(locationOf(post)).toMatch(/^https:\/\/registry\.example\.org:8443\/v2\/app\/blobs\/uploads\/[0-9a-f-]+\/0$/)
    const path = new URL(locationOf(post)).pathname
    const put = await server.ask(`${path}?digest=${digestOf(configBytes)}`, { method: 'PUT', body: configBytes })
    expect(put.headers.location).toBe(`https://registry.example.org:8443/v2/app/blobs/${digestOf(configBytes)}`)
    const manifest = await putManifest(server, 'app', 'v1', manifestOf())
    expect(manifest.headers.location).toBe(
      `https://registry.example.org:8443/v2/app/manifests/${digestOf(manifestOf())}`
    )
  })

  it('is what the proxy says with http.relativeurls: false', async () => {
    const server = await serverWith({ app: { relativeUrls: false, trustProxy: ['loopback'] } })
    const location = async (headers: Record<string, string>) =>
      locationOf(await server.ask('/v2/app/blobs/uploads/', { method: 'POST', headers }))
    expect(await location({ Host: 'a.example' })).toMatch(/^http:\/\/a\.example\/v2\//)
    expect(await location({ 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'b.example' })).toMatch(
      /^https:\/\/b\.example\/v2\//
    )
    expect(await location({ Host: 'a.example/../"<x>' })).toMatch(/^\/v2\//)
  })
})

describe('http.headers', () => {
  it('are on every answer, errors and probes included', async () => {
    const server = await serverWith({
      app: { headers: { 'X-Content-Type-Options': ['nosniff'], 'X-Twice': ['a', 'b'] } }
    })
    for (const path of ['/v2/', '/v2/none/tags/list', '/v2/%', '/livez', '/nowhere']) {
      const answer = await server.ask(path)
      expect(valuesOf(answer, 'x-content-type-options')).toEqual(['nosniff'])
      expect(valuesOf(answer, 'x-twice').join(', ')).toBe('a, b')
    }
  })
})

describe('validation', () => {
  it('sparse indexes are taken where the operator allows them', async () => {
    const server = await serverWith({ registry: { sparse: 'all' } })
    const bytes = indexOf([manifestOf()])
    expect((await putManifest(server, 'app', 'sparse', bytes)).status).toBe(201)
    expect((await putManifest(server, 'app', 'image', manifestOf([configBytes]))).status).toBe(201)
    expect((await server.ask('/v2/app/manifests/sparse')).body.equals(bytes)).toBe(true)
  })
})

describe('limits', () => {
  it('ipfs.limits.uploads: one body more than that is told to come back', async () => {
    const server = await serverWith({ app: { limits: { uploads: 1 }, timeouts: { uploadQueueMs: 0 } } })
    const first = await openSession(server, 'app')
    const second = await openSession(server, 'app')
    const slow = request({ host: '127.0.0.1', port: server.port, path: first, method: 'PATCH', agent: false })
    const answered = new Promise<number>((resolve, reject) => {
      slow.on('response', response => resolve(response.resume().statusCode ?? 0)).on('error', reject)
    })
    slow.write('slow')
    // How soon the first body is being read is the server's affair.
    const attempt = () => server.ask(second, { method: 'PATCH', body: 'more' })
    await expect.poll(async () => (await attempt()).status).toBe(429)
    expect((await attempt()).codes).toEqual(['TOOMANYREQUESTS'])
    slow.end(' body')
    expect(await answered).toBe(202)
    expect((await attempt()).status).toBe(202)
  })

  it('open sessions: one more than that is told to finish some', async () => {
    const server = await serverWith({ registry: { maxUploads: 2 } })
    const [first] = [await openSession(server, 'app'), await openSession(server, 'app')]
    const path = '/v2/app/blobs/uploads/'
    expect(await server.ask(path, { method: 'POST' })).toMatchObject({ status: 429, codes: ['TOOMANYREQUESTS'] })
    await server.ask(first, { method: 'DELETE' })
    expect((await server.ask(path, { method: 'POST' })).status).toBe(202)
  })
})

describe('http.tls', () => {
  it.skipIf(!hasOpenssl)('pushes and pulls (needs: apt-get install openssl)', async () => {
    const server = await serverWith({ app: { relativeUrls: false }, listen: { tls: createCertificate() } })
    const bytes = Buffer.alloc(3_000_000, 'tls')
    const digest = await pushBlob(server, 'app', bytes)
    expect((await server.ask(`/v2/app/blobs/${digest}`)).body.equals(bytes)).toBe(true)
    const post = await server.ask('/v2/app/blobs/uploads/', { method: 'POST' })
    expect(locationOf(post)).toMatch(new RegExp(`^https://127\\.0\\.0\\.1:${server.port}/v2/`))
  })
})
