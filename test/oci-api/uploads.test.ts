/** end-4 to end-6, end-11, end-13 and end-14: every way a blob comes in, under both algorithms. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DigestAlgorithm, digestOf } from '../../src/oci/digest.ts'
import { locationOf, openSession, pushBlob, type Server, startServer } from './server.ts'

const mebibyte = 1024 * 1024
const blobs: readonly (readonly [string, Buffer])[] = [
  ['no byte', Buffer.alloc(0)],
  ['one byte', Buffer.from('x')],
  ['a leaf', randomBytes(mebibyte)],
  ['a leaf and a byte', randomBytes(mebibyte + 1)],
  ['several leaves', randomBytes(3 * mebibyte + 17)]
]
const algorithms: readonly DigestAlgorithm[] = ['sha256', 'sha512']

let server: Server
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

type Push = (repository: string, bytes: Buffer, algorithm: DigestAlgorithm) => Promise<void>

function expectCreated(answer: Awaited<ReturnType<Server['ask']>>, repository: string, digest: string): void {
  expect(answer).toMatchObject({
    status: 201,
    headers: {
      location: `/v2/${repository}/blobs/${digest}`,
      'docker-content-digest': digest,
      'content-length': '0',
      'x-ipfs-path': expect.stringMatching(/^\/ipfs\/baf[a-z2-7]+$/)
    }
  })
}

const streamed = { 'Transfer-Encoding': 'chunked', 'Content-Type': 'application/octet-stream' }

const ways: Readonly<Record<string, Push>> = {
  'end-4b, one POST': async (repository, bytes, algorithm) => {
    const digest = digestOf(bytes, algorithm)
    const path = `/v2/${repository}/blobs/uploads/?digest=${digest}`
    expectCreated(await server.ask(path, { method: 'POST', body: bytes }), repository, digest)
  },
  'end-4b, one streamed POST': async (repository, bytes, algorithm) => {
    const digest = digestOf(bytes, algorithm)
    const path = `/v2/${repository}/blobs/uploads/?digest=${digest}`
    expectCreated(await server.ask(path, { method: 'POST', body: bytes, headers: streamed }), repository, digest)
  },
  'end-4a and end-6, POST then PUT': async (repository, bytes, algorithm) => {
    const digest = digestOf(bytes, algorithm)
    const location = await openSession(server, repository)
    const put = await server.ask(`${location}?digest=${digest}`, { method: 'PUT', body: bytes })
    expectCreated(put, repository, digest)
  },
  'end-4c and end-6, the algorithm announced': async (repository, bytes, algorithm) => {
    const digest = digestOf(bytes, algorithm)
    const location = await openSession(server, repository, `?digest-algorithm=${algorithm}`)
    const put = await server.ask(`${location}?digest=${digest}`, { method: 'PUT', body: bytes })
    expectCreated(put, repository, digest)
  },
  'end-5 and end-6, in chunks, the last in the PUT': async (repository, bytes, algorithm) => {
    const digest = digestOf(bytes, algorithm)
    let location = await openSession(server, repository)
    const size = Math.max(1, Math.ceil(bytes.length / 3))
    let at = 0
    for (; at + size < bytes.length; at += size) {
      const chunk = bytes.subarray(at, at + size)
      const headers = { 'Content-Range': `${at}-${at + chunk.length - 1}`, 'Content-Length': String(chunk.length) }
      const patch = await server.ask(location, { method: 'PATCH', body: chunk, headers })
      expect(patch).toMatchObject({
        status: 202,
        headers: { range: `0-${at + chunk.length - 1}`, 'content-length': '0' }
      })
      location = locationOf(patch)
    }
    const rest = bytes.subarray(at)
    const headers =
      rest.length === 0
        ? { 'Content-Length': '0' }
        : { 'Content-Range': `${at}-${bytes.length - 1}`, 'Content-Length': String(rest.length) }
    const put = await server.ask(`${location}?digest=${digest}`, { method: 'PUT', body: rest, headers })
    expectCreated(put, repository, digest)
  },
  'end-5 and end-6, streamed in one PATCH': async (repository, bytes, algorithm) => {
    const digest = digestOf(bytes, algorithm)
    const location = await openSession(server, repository)
    const patch = await server.ask(location, { method: 'PATCH', body: bytes, headers: streamed })
    expect(patch).toMatchObject({ status: 202, headers: { range: `0-${Math.max(0, bytes.length - 1)}` } })
    const put = await server.ask(locationOf(patch, `digest=${digest}`), { method: 'PUT' })
    expectCreated(put, repository, digest)
  },
  'end-6, streamed in the PUT': async (repository, bytes, algorithm) => {
    const digest = digestOf(bytes, algorithm)
    const location = await openSession(server, repository, `?digest-algorithm=${algorithm}`)
    const put = await server.ask(`${location}?digest=${digest}`, { method: 'PUT', body: bytes, headers: streamed })
    expectCreated(put, repository, digest)
  }
}

describe.each(Object.entries(ways))('%s', (way, push) => {
  it.each(algorithms.flatMap(algorithm => blobs.map(([name, bytes]) => [algorithm, name, bytes] as const)))(
    '%s of %s',
    async (algorithm, name, bytes) => {
      const repository = `${way}/${algorithm}/${name}`.toLowerCase().replaceAll(/[^a-z0-9/]+/g, '-')
      const digest = digestOf(bytes, algorithm)
      const path = `/v2/${repository}/blobs/${digest}`
      expect(await server.ask(path)).toMatchObject({ status: 404, codes: ['BLOB_UNKNOWN'] })
      await push(repository, bytes, algorithm)
      const got = await server.ask(path)
      expect(got.status).toBe(200)
      expect(got.body.equals(bytes)).toBe(true)
      expect(got.headers).toMatchObject({
        'content-length': String(bytes.length),
        'content-type': 'application/octet-stream',
        'docker-content-digest': digest,
        etag: `"${digest}"`,
        'accept-ranges': 'bytes'
      })
      const head = await server.ask(path, { method: 'HEAD' })
      expect(head).toMatchObject({
        status: 200,
        headers: { 'content-length': String(bytes.length), 'docker-content-digest': digest }
      })
    }
  )
})

describe('a session', () => {
  const bytes = randomBytes(100_000)
  const digest = digestOf(bytes)

  it('end-5, end-13: refuses a chunk out of order, says where it stands, and takes the right one', async () => {
    const location = await openSession(server, 'order')
    const chunk = (from: number, to: number, method = 'PATCH', path = location) =>
      server.ask(path, {
        method,
        body: bytes.subarray(from, to),
        headers: { 'Content-Range': `${from}-${to - 1}`, 'Content-Length': String(to - from) }
      })
    expect((await server.ask(location)).headers).toMatchObject({ range: '0-0', location })
    expect((await chunk(0, 40_000)).headers.range).toBe('0-39999')
    const stands = location.replace(/0$/, '40000')
    for (const [from, to] of [
      [50_000, 60_000],
      [0, 40_000],
      [39_999, 50_000]
    ] as const) {
      const headers = { location: stands, range: '0-39999' }
      const expected = { status: 416, codes: ['BLOB_UPLOAD_INVALID'], headers }
      expect(await chunk(from, to)).toMatchObject(expected)
      expect(await chunk(from, to, 'PUT', `${location}?digest=${digest}`)).toMatchObject(expected)
    }
    for (const method of ['GET', 'HEAD']) {
      const status = await server.ask(location, { method })
      expect(status).toMatchObject({ status: 204, headers: { location: stands, range: '0-39999' } })
      expect(status.headers['docker-upload-uuid']).toMatch(/^[0-9a-f-]{36}$/)
    }
    expect((await chunk(40_000, 70_000)).headers.range).toBe('0-69999')
    expectCreated(await chunk(70_000, 100_000, 'PUT', `${location}?digest=${digest}`), 'order', digest)
    expect(await server.ask(location)).toMatchObject({ status: 404, codes: ['BLOB_UPLOAD_UNKNOWN'] })
  })

  it('end-6: a wrong digest is refused with the session kept, so that the right one can be named', async () => {
    const location = await openSession(server, 'mistaken')
    await server.ask(location, { method: 'PATCH', body: bytes })
    for (const query of [
      '',
      '?digest=',
      '?digest=sha256:00',
      `?digest=md5:${'0'.repeat(32)}`,
      `?digest=${digestOf(Buffer.of(1))}`
    ]) {
      expect(await server.ask(location + query, { method: 'PUT' })).toMatchObject({
        status: 400,
        codes: ['DIGEST_INVALID']
      })
    }
    expect(await server.ask(`/v2/mistaken/blobs/${digestOf(Buffer.of(1))}`)).toMatchObject({ status: 404 })
    const sha512 = digestOf(bytes, 'sha512')
    expectCreated(await server.ask(`${location}?digest=${sha512}`, { method: 'PUT' }), 'mistaken', sha512)
  })

  it('end-4b: a body that is not what its digest says leaves nothing', async () => {
    const path = `/v2/liar/blobs/uploads/?digest=${digestOf(Buffer.of(1))}`
    expect(await server.ask(path, { method: 'POST', body: 'lie' })).toMatchObject({
      status: 400,
      codes: ['DIGEST_INVALID']
    })
    expect((await server.ask(`/v2/liar/blobs/${digestOf(Buffer.of(1))}`)).status).toBe(404)
    expect((await server.ask(`/v2/liar/blobs/${digestOf(Buffer.from('lie'))}`)).status).toBe(404)
    expect((await server.ask('/v2/liar/tags/list')).codes).toEqual(['NAME_UNKNOWN'])
  })

  it('end-4b without a body is a session to PUT to', async () => {
    const post = await server.ask(`/v2/later/blobs/uploads/?digest=${digest}`, { method: 'POST' })
    expect(post.status).toBe(202)
    const put = await server.ask(locationOf(post, `digest=${digest}`), { method: 'PUT', body: bytes })
    expectCreated(put, 'later', digest)
  })

  it('end-14: is cancelled once, with its bytes', async () => {
    const location = await openSession(server, 'cancel')
    await server.ask(location, { method: 'PATCH', body: bytes })
    expect((await server.ask(location, { method: 'DELETE' })).status).toBe(204)
    for (const [method, path] of [
      ['GET', location],
      ['DELETE', location],
      ['PATCH', location],
      ['PUT', `${location}?digest=${digest}`]
    ] as const) {
      expect(await server.ask(path, { method })).toMatchObject({ status: 404, codes: ['BLOB_UPLOAD_UNKNOWN'] })
    }
    expect((await server.ask(`/v2/cancel/blobs/${digest}`)).status).toBe(404)
  })

  it('belongs to its repository and is nobody’s guess', async () => {
    const location = await openSession(server, 'mine')
    const elsewhere = location.replace('/mine/', '/theirs/')
    const nowhere = location.replace(/[^/]+\/0$/, '00000000-0000-4000-8000-000000000000/0')
    const misspelt = [location.replace(/[^/]+\/0$/, 'no-uuid/0'), `${location}1`, location.replace(/0$/, '-1')]
    for (const path of [elsewhere, nowhere, ...misspelt, location.replace(/0$/, '9'.repeat(16))]) {
      for (const method of ['GET', 'PATCH', 'DELETE']) {
        expect(await server.ask(path, { method })).toMatchObject({ status: 404, codes: ['BLOB_UPLOAD_UNKNOWN'] })
      }
      expect((await server.ask(`${path}?digest=${digest}`, { method: 'PUT', body: bytes })).status).toBe(404)
    }
    expect((await server.ask(location, { method: 'DELETE' })).status).toBe(204)
  })
})

describe('end-11, mount', () => {
  const bytes = randomBytes(1000)
  const mount = (repository: string, query: string) =>
    server.ask(`/v2/${repository}/blobs/uploads/?${query}`, { method: 'POST' })

  it.each(algorithms)('from a named repository and from any, %s', async algorithm => {
    const digest = await pushBlob(server, `source/${algorithm}`, bytes, algorithm)
    expectCreated(
      await mount(`named/${algorithm}`, `mount=${digest}&from=source/${algorithm}`),
      `named/${algorithm}`,
      digest
    )
    expectCreated(await mount(`any/${algorithm}`, `mount=${digest}`), `any/${algorithm}`, digest)
    for (const repository of [`named/${algorithm}`, `any/${algorithm}`]) {
      const got = await server.ask(`/v2/${repository}/blobs/${digest}`)
      expect(got.body.equals(bytes)).toBe(true)
    }
  })

  it('of what is not there, or not there, is a session like any', async () => {
    const digest = await pushBlob(server, 'holder', Buffer.from('held'))
    const absent = digestOf(Buffer.from('absent'))
    for (const query of [`mount=${absent}`, `mount=${absent}&from=holder`, `mount=${digest}&from=unknown`]) {
      const answer = await mount('wanting', query)
      expect(answer).toMatchObject({ status: 202, headers: { range: '0-0' } })
      expect((await server.ask(`/v2/wanting/blobs/${digest}`)).status).toBe(404)
      expect((await server.ask(locationOf(answer), { method: 'DELETE' })).status).toBe(204)
    }
  })

  it.each([
    'from=Team/App',
    'from=host:5000/holder',
    'from=registry.example.com/holder',
    'from=',
    'from=../holder',
    'from=holder:v1',
    'from=%2Fholder',
    'from=holder%00',
    `from=${'holder/'.repeat(60)}x`
  ])('%s is no repository of the blob: a session that takes it', async from => {
    const held = Buffer.from('held by holder')
    const digest = await pushBlob(server, 'holder', held)
    const answer = await mount('wanting', `mount=${digest}&${from}`)
    expect(answer).toMatchObject({ status: 202, headers: { range: '0-0' } })
    expect((await server.ask(`/v2/wanting/blobs/${digest}`)).status).toBe(404)
    const put = await server.ask(`${locationOf(answer)}?digest=${digest}`, { method: 'PUT', body: held })
    expectCreated(put, 'wanting', digest)
    await server.ask(`/v2/wanting/blobs/${digest}`, { method: 'DELETE' })
  })

  it.each([
    'mount=md5:d41d8cd98f00b204e9800998ecf8427e',
    'mount=blake3:00&from=holder',
    'mount=sha999:00&from=Team/App',
    'from=Team/App'
  ])('%s is a session like any', async query => {
    const answer = await mount('wanting', query)
    expect(answer).toMatchObject({ status: 202, headers: { range: '0-0' } })
    expect((await server.ask(locationOf(answer), { method: 'DELETE' })).status).toBe(204)
  })

  it.each([
    ['mount=sha256:00', 'DIGEST_INVALID'],
    ['mount=', 'DIGEST_INVALID'],
    ['mount=sha256:00&from=Team/App', 'DIGEST_INVALID'],
    ['digest-algorithm=md5', 'DIGEST_INVALID'],
    ['digest=nonsense', 'DIGEST_INVALID']
  ])('%s is refused', async (query, code) => {
    expect(await mount('strict', query)).toMatchObject({ status: 400, codes: [code] })
  })
})
