import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { RegistryError } from '../../src/errors.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { cidOf } from './memory-registry.ts'
import { parseMultipart } from './multipart.ts'
import { serve } from './serve.ts'

const none = `sha256:${'0'.repeat(64)}` as const
const manifest = Buffer.from('{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}')

describe('base', () => {
  it('answers /v2/ with the API version, a request id and the configured headers', async () => {
    const { ask } = await serve({ init: { headers: { 'X-Content-Type-Options': ['nosniff'], 'X-Twice': ['1', '2'] } } })
    for (const path of ['/v2/', '/livez', '/v2/nothing']) {
      const answer = await ask(path, { headers: { 'X-Request-Id': 'from-the-client' } })
      expect(answer.headers).toMatchObject({
        'docker-distribution-api-version': 'registry/2.0',
        'x-content-type-options': 'nosniff',
        'x-request-id': 'from-the-client'
      })
      expect(answer.rawHeaders.filter(name => name === 'X-Twice')).toHaveLength(2)
    }
    const first = await ask('/v2/')
    const second = await ask('/v2/', { headers: { 'X-Request-Id': 'not sane "at all"' } })
    expect(first.headers['x-request-id']).not.toBe(second.headers['x-request-id'])
    expect(second.headers['x-request-id']).toMatch(/^[\w-]+$/)
  })

  it.each([
    ['GET', '/v2', 301, '/v2/'],
    ['GET', '/v2?a=b', 301, '/v2/?a=b'],
    ['HEAD', '/v2/app/tags/list/', 301, '/v2/app/tags/list'],
    ['POST', '/v2/app/blobs/uploads?mount=x', 308, '/v2/app/blobs/uploads/?mount=x']
  ])('%s %s leads to the canonical path', async (method, path, status, location) => {
    const { ask } = await serve()
    expect(await ask(path, { method })).toMatchObject({ status, headers: { location } })
  })

  it.each([
    ['GET', '/v2x/', 404, 'UNSUPPORTED'],
    ['GET', '/nowhere', 404, 'UNSUPPORTED'],
    ['GET', '/v2/app/unknown', 404, 'UNSUPPORTED'],
    ['GET', '/v2/UPPER/tags/list', 400, 'NAME_INVALID'],
    ['GET', '/v2/app%zz/tags/list', 400, 'UNSUPPORTED'],
    ['GET', '/%zz', 400, 'UNSUPPORTED'],
    ['GET', `/v2/app/manifests/${'x'.repeat(9000)}`, 414, 'UNSUPPORTED'],
    ['POST', '/v2/', 405, 'UNSUPPORTED'],
    ['GET', '/v2/app/manifests/none', 404, 'MANIFEST_UNKNOWN'],
    ['GET', `/v2/app/blobs/${none}`, 404, 'BLOB_UNKNOWN'],
    ['GET', '/v2/app/tags/list', 404, 'NAME_UNKNOWN']
  ])('%s %s is %i %s', async (method, path, status, code) => {
    const { ask } = await serve()
    expect(await ask(path, { method })).toMatchObject({ status, codes: [code] })
  })

  it('names the methods of a path', async () => {
    const { ask } = await serve()
    expect((await ask('/v2/app/manifests/v1', { method: 'PATCH' })).headers.allow).toBe('GET, HEAD, PUT, DELETE')
    const preflight = await ask('/v2/app/manifests/v1', { method: 'OPTIONS' })
    expect(preflight).toMatchObject({ status: 200, headers: { allow: 'GET, HEAD, PUT, DELETE, OPTIONS' } })
  })

  it('serves under a prefix only', async () => {
    const { ask, registry } = await serve({ init: { prefix: '/reg/' } })
    registry.addManifest('app', manifest, { tags: ['a', 'b'] })
    expect((await ask('/reg/v2/')).status).toBe(200)
    expect((await ask('/v2/')).status).toBe(404)
    expect((await ask('/reg/v2/app/tags/list?n=1')).headers.link).toBe('</reg/v2/app/tags/list?last=a&n=1>; rel="next"')
    expect((await ask('/reg/v2/app/blobs/uploads/', { method: 'POST' })).headers.location).toMatch(
      /^\/reg\/v2\/app\/blobs\/uploads\//
    )
  })

  it('hides what went wrong inside, and logs it', async () => {
    const { ask, registry, log } = await serve()
    registry.failure = new Error('secret at /var/lib')
    const answer = await ask('/v2/app/manifests/v1')
    expect(answer).toMatchObject({ status: 500, codes: ['UNKNOWN'] })
    expect(answer.body.toString()).not.toContain('secret')
    expect(answer.body.toString()).toContain(String(answer.headers['x-request-id']))
    expect(log.lines.filter(line => line.level === 'error')).toHaveLength(1)
  })

  it('says 507 when the disk is full, whoever reports it, and when to come back from a 503', async () => {
    const { ask, registry } = await serve()
    registry.failure = new Error('write failed', { cause: Object.assign(new Error('no'), { code: 'ENOSPC' }) })
    expect(await ask('/v2/app/manifests/v1')).toMatchObject({ status: 507, codes: ['UNAVAILABLE'] })
    registry.failure = new RegistryError('UNAVAILABLE')
    expect(await ask('/v2/app/manifests/v1')).toMatchObject({ status: 503, headers: { 'retry-after': '10' } })
  })
})

describe('manifests', () => {
  it('come with digest, tag, type and the path inside their image', async () => {
    const { ask, registry } = await serve()
    const image = cidOf(none)
    const digest = registry.addManifest('a/b', manifest, { tags: ['v1'], image })
    for (const method of ['GET', 'HEAD']) {
      const answer = await ask('/v2/a/b/manifests/v1', { method })
      expect(answer.status).toBe(200)
      expect(answer.headers).toMatchObject({
        'content-type': 'application/vnd.oci.image.manifest.v1+json',
        'content-length': String(manifest.length),
        'docker-content-digest': digest,
        etag: `"${digest}"`,
        'x-ipfs-path': `/ipfs/${image}/blobs/sha256/${digest.slice(7)}`
      })
      expect(answer.headers['cache-control']).toBeUndefined()
      expect(answer.body).toEqual(method === 'GET' ? manifest : Buffer.alloc(0))
    }
    expect((await ask(`/v2/a/b/manifests/${digest}`)).headers['cache-control']).toContain('immutable')
  })

  it('show a type or image that changed under one digest', async () => {
    const { ask, registry } = await serve()
    registry.addManifest('app', manifest, { tags: ['v1'] })
    expect((await ask('/v2/app/manifests/v1')).headers['x-ipfs-path']).toBeUndefined()
    registry.addManifest('app', manifest, { mediaType: 'application/x', image: cidOf(none) })
    const { headers } = await ask('/v2/app/manifests/v1')
    expect(headers['content-type']).toBe('application/x')
    expect(headers['x-ipfs-path']).toContain(String(cidOf(none)))
  })

  it.each([
    ['"<digest>"', 304],
    ['W/"<digest>"', 304],
    ['"x", "<digest>"', 304],
    ['*', 304],
    ['"x"', 200]
  ])('If-None-Match: %s is %i', async (header, status) => {
    const { ask, registry } = await serve()
    const digest = registry.addManifest('app', manifest, { tags: ['v1'] })
    const answer = await ask('/v2/app/manifests/v1', {
      headers: { 'If-None-Match': header.replace('<digest>', digest) }
    })
    expect(answer).toMatchObject({ status, headers: { etag: `"${digest}"` } })
    expect(answer.body.length).toBe(status === 304 ? 0 : manifest.length)
  })
})

const blob = Buffer.from(Array.from({ length: 1000 }, (_, at) => at % 251))

describe('blobs', () => {
  it('come whole, in borrowed chunks', async () => {
    const { ask, registry } = await serve()
    const digest = registry.addBlob('app', blob)
    registry.behaviour.chunk = 7
    const answer = await ask(`/v2/app/blobs/${digest}`)
    expect(answer.body.equals(blob)).toBe(true)
    expect(answer).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': '1000',
        'docker-content-digest': digest,
        etag: `"${digest}"`,
        'accept-ranges': 'bytes',
        'x-ipfs-path': `/ipfs/${cidOf(digest)}`
      }
    })
    expect(registry).toMatchObject({ open: 0, iterating: 0 })
    const head = await ask(`/v2/app/blobs/${digest}`, { method: 'HEAD', headers: { Range: 'bytes=0-9' } })
    expect(head).toMatchObject({
      status: 200,
      headers: { 'content-length': '1000', 'x-ipfs-path': `/ipfs/${cidOf(digest)}` }
    })
    expect(head.body.length).toBe(0)
    const same = await ask(`/v2/app/blobs/${digest}`, { headers: { 'If-None-Match': `"${digest}"` } })
    expect(same).toMatchObject({ status: 304, headers: { etag: `"${digest}"` } })
  })

  it.each([
    ['bytes=0-0', 206, 'bytes 0-0/1000', 0, 1],
    ['bytes=10-19', 206, 'bytes 10-19/1000', 10, 20],
    ['bytes=990-', 206, 'bytes 990-999/1000', 990, 1000],
    ['bytes=-10', 206, 'bytes 990-999/1000', 990, 1000],
    ['bytes=-5000', 206, 'bytes 0-999/1000', 0, 1000],
    ['bytes=500-5000', 206, 'bytes 500-999/1000', 500, 1000],
    ['bytes=0-1,1-6', 200, undefined, 0, 1000],
    ['bytes=1000-,5-6', 206, 'bytes 5-6/1000', 5, 7],
    ['bytes=1000-,-0', 416, 'bytes */1000', 0, 0],
    ['lines=0-1', 200, undefined, 0, 1000],
    ['bytes=x', 200, undefined, 0, 1000],
    ['bytes=1000-', 416, 'bytes */1000', 0, 0],
    ['bytes=-0', 416, 'bytes */1000', 0, 0],
    ['bytes=9-5', 416, 'bytes */1000', 0, 0]
  ])('Range: %s is %i', async (range, status, contentRange, start, end) => {
    const { ask, registry } = await serve()
    const digest = registry.addBlob('app', blob)
    registry.behaviour.chunk = 64
    const answer = await ask(`/v2/app/blobs/${digest}`, { headers: { Range: range } })
    expect(answer.status).toBe(status)
    expect(answer.headers['content-range']).toBe(contentRange)
    if (status === 416) expect(answer.codes).toEqual(['SIZE_INVALID'])
    else expect(answer.body.equals(blob.subarray(start, end))).toBe(true)
    expect(registry.open).toBe(0)
  })

  it.each([
    [
      1,
      [
        [0, 10],
        [20, 21]
      ]
    ],
    [
      64,
      [
        [0, 100],
        [100, 200],
        [900, 1000]
      ]
    ],
    [
      1000,
      [
        [900, 1000],
        [0, 1],
        [500, 900]
      ]
    ]
  ] as const)('come as one part a range, in the order asked, in chunks of %i', async (chunk, ranges) => {
    const { ask, registry } = await serve()
    const digest = registry.addBlob('app', blob)
    registry.behaviour.chunk = chunk
    const Range = `bytes=${ranges.map(([start, end]) => `${start}-${end - 1}`).join(', ')}`
    const answer = await ask(`/v2/app/blobs/${digest}`, { headers: { Range } })
    expect(answer.status).toBe(206)
    expect(answer.headers).toMatchObject({ etag: `"${digest}"`, 'content-length': String(answer.body.length) })
    expect(answer.headers['content-range']).toBeUndefined()
    expect(parseMultipart(answer.headers['content-type'], answer.body)).toEqual(
      ranges.map(([start, end]) => ({
        headers: { 'content-type': 'application/octet-stream', 'content-range': `bytes ${start}-${end - 1}/1000` },
        body: blob.subarray(start, end)
      }))
    )
    expect(registry).toMatchObject({ open: 0, iterating: 0 })
    const head = await ask(`/v2/app/blobs/${digest}`, { method: 'HEAD', headers: { Range } })
    expect(head).toMatchObject({ status: 200, headers: { 'content-length': '1000' } })
    const other = await ask(`/v2/app/blobs/${digest}`, { headers: { Range, 'If-Range': '"other"' } })
    expect(other).toMatchObject({ status: 200, headers: { 'content-length': '1000' } })
    const again = await ask(`/v2/app/blobs/${digest}`, { headers: { Range } })
    expect(again.headers['content-type']).not.toBe(answer.headers['content-type'])
  })

  it('come in parts larger than what is written together, and in a thousand small ones', async () => {
    const { ask, registry, log } = await serve({ init: { accessLog: true } })
    const large = randomBytes(3_000_000)
    const digest = registry.addBlob('app', large)
    registry.behaviour.chunk = 100_000
    const big = [
      [0, 1_000_000],
      [1_500_000, 1_500_001],
      [1_600_000, 1_608_192],
      [2_000_000, 3_000_000]
    ] as const
    const small = Array.from({ length: 1000 }, (_, at) => [at * 2500, at * 2500 + (at % 1999) + 1] as const)
    for (const ranges of [big, small, small.toReversed()]) {
      const Range = `bytes=${ranges.map(([start, end]) => `${start}-${end - 1}`).join()}`
      const answer = await ask(`/v2/app/blobs/${digest}`, { headers: { Range } })
      expect(answer.headers['content-length']).toBe(String(answer.body.length))
      const parts = parseMultipart(answer.headers['content-type'], answer.body)
      expect(parts).toHaveLength(ranges.length)
      for (const [at, [start, end]] of ranges.entries())
        if (parts[at]?.body.equals(large.subarray(start, end)) !== true) throw new Error(`part ${at} is wrong`)
      await expect
        .poll(() => log.lines.filter(line => line.message === 'request').at(-1)?.fields)
        .toMatchObject({ status: 206, sent: answer.body.length, complete: true })
    }
  })

  it('are cut in the middle of several ranges when one rotted', async () => {
    const { ask, registry } = await serve()
    const digest = registry.addBlob('app', randomBytes(3_000_000))
    registry.behaviour = { chunk: 100_000, failAt: 2_000_000 }
    await expect(
      ask(`/v2/app/blobs/${digest}`, { headers: { Range: 'bytes=0-999999,1500000-2500000' } })
    ).rejects.toThrow(/aborted|hang up/)
    expect(registry).toMatchObject({ open: 0, iterating: 0 })
  })

  it('honour If-Range only with the strong tag of the content', async () => {
    const { ask, registry } = await serve()
    const digest = registry.addBlob('app', blob)
    const status = async (tag: string) =>
      (await ask(`/v2/app/blobs/${digest}`, { headers: { Range: 'bytes=0-1', 'If-Range': tag } })).status
    expect(await status(`"${digest}"`)).toBe(206)
    expect(await status(`W/"${digest}"`)).toBe(200)
    expect(await status('"other"')).toBe(200)
  })

  it('may be empty, whatever range is asked', async () => {
    const { ask, registry } = await serve()
    const digest = registry.addBlob('app', new Uint8Array())
    expect(digest).toBe(digestOf(new Uint8Array()))
    for (const headers of [{}, { Range: 'bytes=0-' }]) {
      expect(await ask(`/v2/app/blobs/${digest}`, { headers })).toMatchObject({
        status: 200,
        headers: { 'content-length': '0' }
      })
    }
  })

  it('that rotted at their beginning are an error, later a cut, and never look complete', async () => {
    const { ask, registry, log } = await serve()
    const digest = registry.addBlob('app', blob)
    registry.behaviour = { chunk: 100, failAt: 50 }
    expect(await ask(`/v2/app/blobs/${digest}`)).toMatchObject({ status: 503, codes: ['UNAVAILABLE'] })
    registry.behaviour = { chunk: 100, failAt: 950 }
    await expect(ask(`/v2/app/blobs/${digest}`)).rejects.toThrow(/aborted|hang up/)
    expect(registry).toMatchObject({ open: 0, iterating: 0 })
    expect(log.lines.filter(line => line.level === 'error')).toHaveLength(2)
  })
})

describe('access', () => {
  it('is asked for every repository named', async () => {
    const asked: string[] = []
    const { ask, registry } = await serve({
      authorize: (subject, action, repository) => {
        asked.push(`${subject.kind} ${action} ${repository}`)
        return repository !== 'private'
      }
    })
    const digest = registry.addBlob('private', blob)
    registry.addManifest('private', manifest, { tags: ['v1'] })
    registry.addManifest('public', manifest, { tags: ['v1'] })
    for (const [method, path] of [
      ['GET', '/v2/private/manifests/v1'],
      ['GET', '/v2/private/tags/list'],
      ['PUT', '/v2/private/manifests/v1'],
      ['DELETE', '/v2/private/manifests/v1'],
      ['POST', '/v2/private/blobs/uploads/'],
      ['GET', `/v2/private/referrers/${digest}`],
      ['HEAD', `/v2/private/blobs/${digest}`]
    ] as const) {
      expect((await ask(path, { method })).status).toBe(403)
    }
    expect(asked).toEqual([
      'anonymous pull private',
      'anonymous pull private',
      'anonymous create private',
      'anonymous delete private',
      'anonymous create private',
      'anonymous pull private',
      'anonymous pull private'
    ])
    expect(JSON.parse((await ask('/v2/_catalog')).body.toString())).toEqual({ repositories: ['public'] })
    for (const from of ['&from=private', '']) {
      const mount = await ask(`/v2/public/blobs/uploads/?mount=${digest}${from}`, { method: 'POST' })
      expect(mount.status).toBe(202)
    }
  })
})
