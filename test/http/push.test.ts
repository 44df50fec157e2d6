import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { type Answer, type Ask, type Served, serve } from './serve.ts'

const blob = Buffer.from('a blob of some bytes')
const digest = digestOf(blob)
const json = 'application/vnd.oci.image.manifest.v1+json'

async function open(served: Served, query = ''): Promise<string> {
  const answer = await served.ask(`/v2/app/blobs/uploads/${query}`, { method: 'POST' })
  expect(answer.status).toBe(202)
  return String(answer.headers.location)
}

const all = (answer: Answer, name: string) =>
  answer.rawHeaders.filter((_, at) => at % 2 === 1 && answer.rawHeaders[at - 1]?.toLowerCase() === name)

describe('uploads', () => {
  it('POST then PUT', async () => {
    const served = await serve()
    const post = await served.ask('/v2/app/blobs/uploads/', { method: 'POST' })
    const id = String(post.headers['docker-upload-uuid'])
    expect(post).toMatchObject({
      status: 202,
      headers: { location: `/v2/app/blobs/uploads/${id}/0`, range: '0-0', 'content-length': '0' }
    })
    expect(post.headers['oci-chunk-min-length']).toBeUndefined()
    const put = await served.ask(`${post.headers.location}?digest=${digest}`, { method: 'PUT', body: blob })
    expect(put).toMatchObject({
      status: 201,
      headers: { location: `/v2/app/blobs/${digest}`, 'docker-content-digest': digest, 'content-length': '0' }
    })
    expect((await served.ask(String(put.headers.location))).body.equals(blob)).toBe(true)
  })

  it('one POST, whose failure leaves no session', async () => {
    const served = await serve()
    const path = `/v2/app/blobs/uploads/?digest=${digest}`
    expect(await served.ask(path, { method: 'POST', body: 'other bytes' })).toMatchObject({
      status: 400,
      codes: ['DIGEST_INVALID']
    })
    expect(served.registry.uploads.size).toBe(0)
    expect(await served.ask(path, { method: 'POST', body: blob })).toMatchObject({
      status: 201,
      headers: { location: `/v2/app/blobs/${digest}`, 'docker-content-digest': digest }
    })
    const empty = digestOf(new Uint8Array())
    expect((await served.ask(`/v2/app/blobs/uploads/?digest=${empty}`, { method: 'POST' })).status).toBe(201)
    const later = await served.ask(path, { method: 'POST' })
    expect(later.status).toBe(202)
  })

  it('in chunks, with and without Content-Range, and streamed', async () => {
    const served = await serve()
    const session = (await open(served)).replace(/0$/, '')
    let location = `${session}0`
    const patch = async (body: Buffer, headers: Ask['headers'] = {}) => {
      const answer = await served.ask(location, { method: 'PATCH', body, headers })
      location = String(answer.headers.location)
      return answer
    }
    expect(await patch(blob.subarray(0, 5), { 'Content-Range': '0-4', 'Content-Length': 5 })).toMatchObject({
      status: 202,
      headers: { range: '0-4', location: `${session}5`, 'content-length': '0' }
    })
    expect(
      (await patch(blob.subarray(5, 8), { 'Content-Range': 'bytes 5-7/20', 'Content-Length': 3 })).headers.range
    ).toBe('0-7')
    expect((await patch(blob.subarray(8, 10))).headers.range).toBe('0-9')
    expect((await patch(blob.subarray(10, 12), { 'Transfer-Encoding': 'chunked' })).headers.range).toBe('0-11')
    const status = await served.ask(location)
    expect(status).toMatchObject({ status: 204, headers: { range: '0-11', location: `${session}12` } })
    expect(status.headers['content-length']).toBeUndefined()
    const rest = { method: 'PUT', body: blob.subarray(12), headers: { 'Content-Range': '12-19', 'Content-Length': 8 } }
    expect((await served.ask(`${location}?digest=${digest}`, rest)).status).toBe(201)
    expect((await served.ask(location)).codes).toEqual(['BLOB_UPLOAD_UNKNOWN'])
  })

  it.each<[string, Record<string, string>, number, string]>([
    ['ahead', { 'Content-Range': '6-8' }, 416, 'BLOB_UPLOAD_INVALID'],
    ['behind', { 'Content-Range': '0-2' }, 416, 'BLOB_UPLOAD_INVALID'],
    ['backwards', { 'Content-Range': '8-6' }, 416, 'BLOB_UPLOAD_INVALID'],
    ['of another length', { 'Content-Range': '5-9' }, 400, 'SIZE_INVALID'],
    ['malformed', { 'Content-Range': 'from 5 on' }, 400, 'BLOB_UPLOAD_INVALID']
  ])('a chunk %s is refused, saying where the upload stands', async (_, headers, status, code) => {
    const served = await serve()
    const { headers: told } = await served.ask(await open(served), { method: 'PATCH', body: blob.subarray(0, 5) })
    const location = String(told.location)
    const body = blob.subarray(0, 3)
    for (const [method, path] of [['PATCH', location] as const, ['PUT', `${location}?digest=${digest}`] as const]) {
      const answer = await served.ask(path, { method, body, headers: { ...headers, 'Content-Length': body.length } })
      expect(answer).toMatchObject({ status, codes: [code], headers: { location, range: '0-4' } })
    }
    expect((await served.ask(location)).headers.range).toBe('0-4')
  })

  it('a closing PUT needs a digest, and a wrong one keeps the session', async () => {
    const served = await serve()
    const location = await open(served)
    for (const query of [
      '',
      '?digest=',
      '?digest=sha256:x',
      '?digest=md5:00',
      `?digest=${digestOf(Buffer.from('x'))}`
    ]) {
      const answer = await served.ask(location + query, { method: 'PUT' })
      expect(answer).toMatchObject({ status: 400, codes: ['DIGEST_INVALID'] })
    }
    expect((await served.ask(location)).status).toBe(204)
  })

  it('can be cancelled once', async () => {
    const served = await serve()
    const location = await open(served)
    expect((await served.ask(location, { method: 'DELETE' })).status).toBe(204)
    expect((await served.ask(location, { method: 'DELETE' })).status).toBe(404)
    expect((await served.ask(location.replace('/app/', '/other/'), { method: 'PATCH', body: blob })).codes).toEqual([
      'BLOB_UPLOAD_UNKNOWN'
    ])
  })

  it.each([
    ['?digest-algorithm=sha512', 202],
    ['?digest-algorithm=sha256', 202],
    ['?digest-algorithm=md5', 400],
    ['?digest=sha256:x', 400],
    ['?mount=sha256:x&from=a', 400],
    [`?mount=${digest}&from=UPPER`, 202],
    ['?mount=sha999:x&from=a', 202],
    [`?mount=${digest}&from=nowhere`, 202],
    [`?mount=${digest}`, 202]
  ])('POST %s is %i', async (query, status) => {
    const { ask } = await serve()
    expect((await ask(`/v2/app/blobs/uploads/${query}`, { method: 'POST' })).status).toBe(status)
  })

  it('mounts from a repository, or from any the caller may pull', async () => {
    const { ask, registry } = await serve()
    registry.addBlob('base', blob)
    for (const [repository, query] of [
      ['one', `?mount=${digest}&from=base`],
      ['two', `?mount=${digest}`]
    ]) {
      expect(await ask(`/v2/${repository}/blobs/uploads/${query}`, { method: 'POST' })).toMatchObject({
        status: 201,
        headers: { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest }
      })
    }
  })

  it('wait for their turn with the body still at the client', async () => {
    const served = await serve({ init: { limits: { uploads: 1 }, timeouts: { bodyStallMs: 60_000 } } })
    const [location, other] = [await open(served), await open(served)]
    const wire = await served.connect()
    wire.socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab`)
    await expect.poll(async () => (await served.ask(location)).headers.range).toBe('0-1')
    const waiting = served.ask(other, { method: 'PATCH', body: 'xyz' })
    wire.socket.write('cde')
    expect((await waiting).status).toBe(202)
    expect((await served.ask(other)).headers.range).toBe('0-2')
    wire.socket.destroy()
  })

  it('are limited in number, and free their place however they end', async () => {
    const served = await serve({
      init: { limits: { uploads: 1 }, timeouts: { bodyStallMs: 60_000, uploadQueueMs: 0 } }
    })
    const location = await open(served)
    const other = await open(served)
    const wire = await served.connect()
    wire.socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab`)
    await expect.poll(async () => (await served.ask(location)).headers.range).toBe('0-1')
    const refused = await served.ask(other, { method: 'PATCH', body: 'xyz' })
    expect(refused).toMatchObject({ status: 429, codes: ['TOOMANYREQUESTS'] })
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    wire.socket.destroy()
    await expect.poll(async () => (await served.ask(other, { method: 'PATCH', body: 'xyz' })).status).toBe(202)
    expect((await served.ask(location)).headers.range).toBe('0-1')
    expect(served.registry.signals[0]?.aborted).toBe(true)
  })
})

describe('Location', () => {
  const locationOf = async (init: Parameters<typeof serve>[0], headers: Record<string, string> = {}) => {
    const { ask } = await serve(init)
    return String((await ask('/v2/app/blobs/uploads/', { method: 'POST', headers })).headers.location)
  }

  it.each([
    [{}, {}, /^\/v2\/app\//],
    [{ host: 'https://reg.example.org' }, {}, /^https:\/\/reg\.example\.org\/v2\/app\//],
    [{ host: 'https://reg.example.org/sub/', prefix: '/' }, {}, /^https:\/\/reg\.example\.org\/sub\/v2\/app\//],
    [{ host: 'https://reg.example.org', relativeUrls: true }, {}, /^\/v2\/app\//],
    [{ relativeUrls: false }, { Host: 'here:5000' }, /^http:\/\/here:5000\/v2\/app\//],
    [
      { relativeUrls: false, trustProxy: ['loopback'] },
      { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'invented, out' },
      /^https:\/\/out\/v2\/app\//
    ],
    [
      { relativeUrls: false, trustProxy: ['loopback'] },
      { Forwarded: 'for=1.2.3.4;proto=https;host="out:1", for=127.0.0.2;host=in' },
      /^https:\/\/out:1\/v2\/app\//
    ],
    [{ relativeUrls: false, trustProxy: ['loopback'] }, { 'X-Forwarded-Host': 'evil"><x' }, /^\/v2\/app\//],
    [
      { relativeUrls: false },
      { 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'https', Host: 'here' },
      /^http:\/\/here\/v2\/app\//
    ],
    [
      { relativeUrls: false, trustProxy: ['loopback'] },
      { 'X-Forwarded-Proto': 'gopher', Host: 'here' },
      /^http:\/\/here\/v2\/app\//
    ]
  ])('%j %j', async (init, headers, pattern) => {
    expect(await locationOf({ init }, headers)).toMatch(pattern)
  })

  it('refuses a host that is no URL', async () => {
    await expect(serve({ init: { host: 'reg.example.org' } })).rejects.toThrow(TypeError)
  })
})

describe('manifests', () => {
  it('are stored under tag and digest, without parameters of the type', async () => {
    const { ask, registry } = await serve()
    const put = await ask('/v2/app/manifests/v1', {
      method: 'PUT',
      body: 'm',
      headers: { 'Content-Type': `${json}; charset=utf-8` }
    })
    const named = digestOf(Buffer.from('m'))
    expect(put).toMatchObject({
      status: 201,
      headers: { location: `/v2/app/manifests/${named}`, 'docker-content-digest': named, etag: `"${named}"` }
    })
    expect(put.headers['oci-tag']).toBeUndefined()
    expect(registry.manifests.get(`app@${named}`)?.mediaType).toBe(json)
    expect(await ask(`/v2/app/manifests/${named}`, { method: 'PUT', body: 'n' })).toMatchObject({
      status: 400,
      codes: ['DIGEST_INVALID']
    })
  })

  it('take several tags, each confirmed by its own header, and name their subject', async () => {
    const { ask, registry } = await serve()
    const body = JSON.stringify({ subject: { digest } })
    const named = digestOf(Buffer.from(body))
    const tags = Array.from({ length: 12 }, (_, at) => `t${at}`)
    const query = [...tags, 't0'].map(tag => `tag=${tag}`).join('&')
    const put = await ask(`/v2/app/manifests/${named}?${query}`, { method: 'PUT', body })
    expect(put).toMatchObject({ status: 201, headers: { 'oci-subject': digest } })
    expect(all(put, 'oci-tag')).toEqual(tags)
    expect([...registry.tagged.keys()]).toEqual(tags.map(tag => `app:${tag}`))
    expect((await ask(`/v2/app/manifests/${named}?tag=.bad`, { method: 'PUT', body })).status).toBe(400)
  })

  it.each([
    ['declared', {}],
    ['chunked', { 'Transfer-Encoding': 'chunked' }]
  ])('of exactly the limit are taken, one byte more is 413 (%s)', async (_, headers) => {
    const { ask } = await serve()
    const limit = 4 * 1024 * 1024
    expect((await ask('/v2/app/manifests/v1', { method: 'PUT', body: Buffer.alloc(limit), headers })).status).toBe(201)
    expect(await ask('/v2/app/manifests/v1', { method: 'PUT', body: Buffer.alloc(limit + 1), headers })).toMatchObject({
      status: 413,
      codes: ['SIZE_INVALID']
    })
  })

  it('are replaced only where If-Match and If-None-Match hold', async () => {
    const { ask } = await serve()
    const put = async (body: string, headers: Record<string, string>) =>
      (await ask('/v2/app/manifests/v1', { method: 'PUT', body, headers })).status
    const one = digestOf(Buffer.from('1'))
    expect(await put('1', { 'If-Match': '*' })).toBe(412)
    expect(await put('1', { 'If-None-Match': '*' })).toBe(201)
    expect(await put('2', { 'If-None-Match': '*' })).toBe(412)
    expect(await put('2', { 'If-Match': `"${digest}"` })).toBe(412)
    expect(await put('2', { 'If-Match': `W/"${one}"` })).toBe(412)
    expect(await put('2', { 'If-Match': `"${digest}", "${one}"` })).toBe(201)
    expect(await put('3', { 'If-None-Match': `"${digest}"` })).toBe(201)
    const remove = async (match: string) =>
      (await ask('/v2/app/manifests/v1', { method: 'DELETE', headers: { 'If-Match': match } })).status
    expect(await remove(`"${one}"`)).toBe(412)
    expect(await remove(`"${digestOf(Buffer.from('3'))}"`)).toBe(202)
  })
})

describe('deletion and read-only mode', () => {
  const paths = ['/v2/app/manifests/v1', `/v2/app/manifests/${digest}`, `/v2/app/blobs/${digest}`]

  it.each(paths)('%s is 202, then 404', async path => {
    const { ask, registry } = await serve()
    registry.addBlob('app', blob)
    registry.addManifest('app', blob, { tags: ['v1'] })
    expect((await ask(path, { method: 'DELETE' })).status).toBe(202)
    expect((await ask(path, { method: 'DELETE' })).status).toBe(404)
  })

  it.each(paths)('%s is 405 where deletion is off, tags too', async path => {
    const { ask, registry } = await serve({ init: { deleteEnabled: false } })
    registry.addBlob('app', blob)
    registry.addManifest('app', blob, { tags: ['v1'] })
    const answer = await ask(path, { method: 'DELETE' })
    expect(answer).toMatchObject({ status: 405, codes: ['UNSUPPORTED'] })
    expect(answer.headers.allow).not.toContain('DELETE')
    expect((await ask(path, { method: 'HEAD' })).status).toBe(200)
  })

  it('writes are 405 when read-only, reads go on', async () => {
    const { ask, registry } = await serve({ init: { readOnly: true } })
    registry.addBlob('app', blob)
    const session = '/v2/app/blobs/uploads/01234567-89ab-cdef-0123-456789abcdef'
    for (const [method, path] of [
      ['POST', '/v2/app/blobs/uploads/'],
      ['PATCH', session],
      ['PUT', `${session}?digest=${digest}`],
      ['DELETE', session],
      ['PUT', '/v2/app/manifests/v1'],
      ['DELETE', `/v2/app/blobs/${digest}`]
    ] as const) {
      expect(await ask(path, { method, body: 'x', headers: { 'Content-Length': 1 } })).toMatchObject({
        status: 405,
        codes: ['UNSUPPORTED']
      })
    }
    expect((await ask(`/v2/app/blobs/${digest}`)).status).toBe(200)
    expect((await ask(session)).status).toBe(404)
  })
})
