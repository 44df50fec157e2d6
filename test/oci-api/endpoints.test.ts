/**
 * The table of endpoints of the distribution specification, line by line: each with its success and every failure that
 * the table names, over the whole application. What takes more than a line stands in the files beside this one.
 */

import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { parseMultipart } from '../http/multipart.ts'
import {
  configBytes,
  manifestOf,
  openSession,
  pushBlob,
  pushImage,
  putManifest,
  type Server,
  startServer,
  types
} from './server.ts'

const absent = digestOf(Buffer.from('in no repository'))
const absent512 = digestOf(Buffer.from('in no repository'), 'sha512')
const blob = randomBytes(10_000)
const blobDigest = digestOf(blob)

let server: Server
let image: Buffer
let imageDigest: string
/** A session that only the rows that refuse something use. */
let session: string

beforeAll(async () => {
  server = await startServer()
  image = await pushImage(server, 'table/image', 'v1')
  imageDigest = digestOf(image)
  await pushBlob(server, 'table/image', blob)
  session = await openSession(server, 'table/image')
  await server.ask(session, { method: 'PATCH', body: 'ten bytes.' })
})
afterAll(() => server.close())

interface Row {
  end: string
  ask: string
  headers?: Record<string, string>
  body?: string | Buffer
  status: number
  code?: string
  answered?: Record<string, unknown>
}

/** `{…}` stand for what is known once the server runs. */
function fill(text: string): string {
  return text
    .replaceAll('{blob}', blobDigest)
    .replaceAll('{image}', imageDigest)
    .replaceAll('{absent}', absent)
    .replaceAll('{absent512}', absent512)
    .replaceAll('{session}', session)
}

const manifestType = { 'Content-Type': types.manifest }
const tooLarge = Buffer.alloc(4 * 1024 * 1024 + 1, ' ')

const rows: readonly Row[] = [
  {
    end: 'end-1',
    ask: 'GET /v2/',
    status: 200,
    answered: { 'content-type': 'application/json', 'content-length': '2' }
  },
  { end: 'end-1', ask: 'HEAD /v2/', status: 200 },
  { end: 'end-1', ask: 'GET /v2', status: 301, answered: { location: '/v2/' } },
  { end: 'end-1', ask: 'GET /v1/', status: 404, code: 'UNSUPPORTED' },
  { end: 'end-1', ask: 'POST /v2/', status: 405, code: 'UNSUPPORTED', answered: { allow: 'GET, HEAD' } },

  { end: 'end-2', ask: 'GET /v2/table/image/blobs/{blob}', status: 200, answered: { 'content-length': '10000' } },
  { end: 'end-2', ask: 'HEAD /v2/table/image/blobs/{blob}', status: 200, answered: { 'content-length': '10000' } },
  { end: 'end-2', ask: 'GET /v2/table/image/blobs/{absent}', status: 404, code: 'BLOB_UNKNOWN' },
  { end: 'end-2', ask: 'GET /v2/table/image/blobs/{absent512}', status: 404, code: 'BLOB_UNKNOWN' },
  { end: 'end-2', ask: 'HEAD /v2/table/image/blobs/{absent}', status: 404 },
  { end: 'end-2', ask: 'GET /v2/table/other/blobs/{blob}', status: 404, code: 'BLOB_UNKNOWN' },
  { end: 'end-2', ask: 'HEAD /v2/table/other/blobs/{blob}', status: 404 },
  { end: 'end-2', ask: 'GET /v2/table/image/blobs/{image}', status: 404, code: 'BLOB_UNKNOWN' },
  { end: 'end-2', ask: 'GET /v2/table/image/blobs/latest', status: 400, code: 'DIGEST_INVALID' },
  { end: 'end-2', ask: 'POST /v2/table/image/blobs/{blob}', status: 405, code: 'UNSUPPORTED' },

  { end: 'end-3', ask: 'GET /v2/table/image/manifests/v1', status: 200, answered: { 'content-type': types.manifest } },
  { end: 'end-3', ask: 'HEAD /v2/table/image/manifests/v1', status: 200, answered: { 'content-type': types.manifest } },
  {
    end: 'end-3',
    ask: 'GET /v2/table/image/manifests/{image}',
    status: 200,
    answered: { 'cache-control': /immutable/ }
  },
  { end: 'end-3', ask: 'HEAD /v2/table/image/manifests/{image}', status: 200 },
  { end: 'end-3', ask: 'GET /v2/table/image/manifests/v2', status: 404, code: 'MANIFEST_UNKNOWN' },
  { end: 'end-3', ask: 'HEAD /v2/table/image/manifests/v2', status: 404 },
  { end: 'end-3', ask: 'GET /v2/table/image/manifests/{absent}', status: 404, code: 'MANIFEST_UNKNOWN' },
  { end: 'end-3', ask: 'GET /v2/table/image/manifests/{absent512}', status: 404, code: 'MANIFEST_UNKNOWN' },
  { end: 'end-3', ask: 'GET /v2/table/image/manifests/{blob}', status: 404, code: 'MANIFEST_UNKNOWN' },
  { end: 'end-3', ask: 'GET /v2/table/other/manifests/v1', status: 404, code: 'NAME_UNKNOWN' },
  { end: 'end-3', ask: 'HEAD /v2/table/other/manifests/{image}', status: 404 },
  { end: 'end-3', ask: 'GET /v2/table/image/manifests/.v1', status: 400, code: 'MANIFEST_INVALID' },
  { end: 'end-3', ask: 'GET /v2/Table/image/manifests/v1', status: 400, code: 'NAME_INVALID' },
  { end: 'end-3', ask: 'PATCH /v2/table/image/manifests/v1', status: 405, code: 'UNSUPPORTED' },

  {
    end: 'end-4a',
    ask: 'POST /v2/table/a/blobs/uploads/',
    status: 202,
    answered: { location: /^\/v2\/table\/a\/blobs\/uploads\/.+/ }
  },
  { end: 'end-4a', ask: 'POST /v2/table//a/blobs/uploads/', status: 400, code: 'NAME_INVALID' },
  {
    end: 'end-4a',
    ask: 'GET /v2/table/a/blobs/uploads/',
    status: 405,
    code: 'UNSUPPORTED',
    answered: { allow: 'POST' }
  },
  {
    end: 'end-4a',
    ask: 'POST /v2/table/a/blobs/uploads',
    status: 308,
    answered: { location: '/v2/table/a/blobs/uploads/' }
  },

  { end: 'end-4b', ask: 'POST /v2/table/b/blobs/uploads/?digest={blob}', body: blob, status: 201 },
  {
    end: 'end-4b',
    ask: 'POST /v2/table/b/blobs/uploads/?digest={absent}',
    body: blob,
    status: 400,
    code: 'DIGEST_INVALID'
  },
  {
    end: 'end-4b',
    ask: 'POST /v2/table/b/blobs/uploads/?digest=sha1:00',
    body: blob,
    status: 400,
    code: 'DIGEST_INVALID'
  },

  { end: 'end-4c', ask: 'POST /v2/table/c/blobs/uploads/?digest-algorithm=sha512', status: 202 },
  { end: 'end-4c', ask: 'POST /v2/table/c/blobs/uploads/?digest-algorithm=sha256', status: 202 },
  { end: 'end-4c', ask: 'POST /v2/table/c/blobs/uploads/?digest-algorithm=crc32', status: 400, code: 'DIGEST_INVALID' },

  {
    end: 'end-5',
    ask: 'PATCH {session}',
    headers: { 'Content-Range': '11-13' },
    body: 'abc',
    status: 416,
    code: 'BLOB_UPLOAD_INVALID',
    answered: { range: '0-9' }
  },
  {
    end: 'end-5',
    ask: 'PATCH {session}',
    headers: { 'Content-Range': 'x' },
    body: 'abc',
    status: 400,
    code: 'BLOB_UPLOAD_INVALID'
  },
  {
    end: 'end-5',
    ask: 'PATCH {session}',
    headers: { 'Content-Range': '10-20' },
    body: 'abc',
    status: 400,
    code: 'SIZE_INVALID'
  },
  { end: 'end-5', ask: 'PATCH /v2/table/image/blobs/uploads/0', body: 'abc', status: 404, code: 'BLOB_UPLOAD_UNKNOWN' },

  {
    end: 'end-6',
    ask: 'PUT {session}?digest={absent}',
    headers: { 'Content-Range': '11-13' },
    body: 'abc',
    status: 416,
    code: 'BLOB_UPLOAD_INVALID'
  },
  { end: 'end-6', ask: 'PUT {session}?digest={absent}', status: 400, code: 'DIGEST_INVALID' },
  { end: 'end-6', ask: 'PUT {session}', status: 400, code: 'DIGEST_INVALID' },
  {
    end: 'end-6',
    ask: 'PUT /v2/table/image/blobs/uploads/0?digest={blob}',
    body: blob,
    status: 404,
    code: 'BLOB_UPLOAD_UNKNOWN'
  },

  {
    end: 'end-7a',
    ask: 'PUT /v2/table/image/manifests/v2',
    headers: manifestType,
    body: manifestOf(),
    status: 201,
    answered: { 'docker-content-digest': digestOf(manifestOf()) }
  },
  {
    end: 'end-7a',
    ask: 'PUT /v2/table/bare/manifests/v1',
    headers: manifestType,
    body: manifestOf(),
    status: 404,
    code: 'MANIFEST_BLOB_UNKNOWN'
  },
  {
    end: 'end-7a',
    ask: 'PUT /v2/table/image/manifests/v3',
    headers: manifestType,
    body: tooLarge,
    status: 413,
    code: 'SIZE_INVALID'
  },
  {
    end: 'end-7a',
    ask: 'PUT /v2/table/image/manifests/v3',
    headers: manifestType,
    body: 'no JSON',
    status: 400,
    code: 'MANIFEST_INVALID'
  },
  {
    end: 'end-7a',
    ask: 'PUT /v2/table/image/manifests/-v3',
    headers: manifestType,
    body: manifestOf(),
    status: 400,
    code: 'MANIFEST_INVALID'
  },
  {
    end: 'end-7a',
    ask: 'PUT /v2/table/image/manifests/{absent}',
    headers: manifestType,
    body: manifestOf(),
    status: 400,
    code: 'DIGEST_INVALID'
  },
  {
    end: 'end-7b',
    ask: `PUT /v2/table/image/manifests/${digestOf(manifestOf())}?tag=a&tag=b`,
    headers: manifestType,
    body: manifestOf(),
    status: 201,
    answered: { 'oci-tag': 'a, b' }
  },
  {
    end: 'end-7b',
    ask: `PUT /v2/table/image/manifests/${digestOf(manifestOf())}?tag=a&tag=~`,
    headers: manifestType,
    body: manifestOf(),
    status: 400,
    code: 'MANIFEST_INVALID'
  },
  {
    end: 'end-7b',
    ask: 'PUT /v2/table/image/manifests/{image}?tag=c',
    headers: manifestType,
    body: tooLarge,
    status: 413,
    code: 'SIZE_INVALID'
  },

  {
    end: 'end-8a',
    ask: 'GET /v2/table/image/tags/list',
    status: 200,
    answered: { 'content-type': 'application/json' }
  },
  { end: 'end-8a', ask: 'HEAD /v2/table/image/tags/list', status: 200 },
  { end: 'end-8a', ask: 'GET /v2/table/other/tags/list', status: 404, code: 'NAME_UNKNOWN' },
  { end: 'end-8a', ask: 'GET /v2/table/image/tags', status: 404, code: 'UNSUPPORTED' },
  { end: 'end-8b', ask: 'GET /v2/table/image/tags/list?n=1&last=a', status: 200, answered: { link: /rel="next"/ } },
  { end: 'end-8b', ask: 'GET /v2/table/image/tags/list?n=-1', status: 400, code: 'UNSUPPORTED' },
  { end: 'end-8b', ask: 'GET /v2/table/other/tags/list?n=0', status: 404, code: 'NAME_UNKNOWN' },

  { end: 'end-9', ask: 'DELETE /v2/table/image/manifests/v9', status: 404, code: 'MANIFEST_UNKNOWN' },
  { end: 'end-9', ask: 'DELETE /v2/table/image/manifests/{absent}', status: 404, code: 'MANIFEST_UNKNOWN' },
  { end: 'end-9', ask: 'DELETE /v2/table/other/manifests/{image}', status: 404, code: 'NAME_UNKNOWN' },
  { end: 'end-9', ask: 'DELETE /v2/table/image/manifests/sha256:1', status: 400, code: 'DIGEST_INVALID' },

  { end: 'end-10', ask: 'DELETE /v2/table/image/blobs/{absent}', status: 404, code: 'BLOB_UNKNOWN' },
  { end: 'end-10', ask: 'DELETE /v2/table/other/blobs/{blob}', status: 404, code: 'BLOB_UNKNOWN' },
  { end: 'end-10', ask: 'DELETE /v2/table/image/blobs/v1', status: 400, code: 'DIGEST_INVALID' },

  {
    end: 'end-11',
    ask: 'POST /v2/table/d/blobs/uploads/?mount={blob}&from=table/image',
    status: 201,
    answered: { location: `/v2/table/d/blobs/${blobDigest}` }
  },
  { end: 'end-11', ask: 'POST /v2/table/e/blobs/uploads/?mount={absent}&from=table/image', status: 202 },
  { end: 'end-11', ask: 'POST /v2/table/e/blobs/uploads/?mount={blob}&from=Table', status: 202 },
  { end: 'end-11', ask: 'POST /v2/table/e/blobs/uploads/?mount=sha256:0', status: 400, code: 'DIGEST_INVALID' },

  {
    end: 'end-12a',
    ask: 'GET /v2/table/image/referrers/{image}',
    status: 200,
    answered: { 'content-type': types.index }
  },
  { end: 'end-12a', ask: 'HEAD /v2/table/image/referrers/{image}', status: 200 },
  { end: 'end-12a', ask: 'GET /v2/table/image/referrers/{absent}', status: 200 },
  { end: 'end-12a', ask: 'GET /v2/table/image/referrers/{absent512}', status: 200 },
  { end: 'end-12a', ask: 'GET /v2/table/image/referrers/v1', status: 400, code: 'DIGEST_INVALID' },
  {
    end: 'end-12b',
    ask: 'GET /v2/table/image/referrers/{image}?artifactType=a/b',
    status: 200,
    answered: { 'oci-filters-applied': 'artifactType' }
  },
  {
    end: 'end-12b',
    ask: 'GET /v2/table/image/referrers/sha256:zz?artifactType=a/b',
    status: 400,
    code: 'DIGEST_INVALID'
  },

  { end: 'end-13', ask: 'GET {session}', status: 204, answered: { range: '0-9' } },
  { end: 'end-13', ask: 'HEAD {session}', status: 204, answered: { range: '0-9' } },
  { end: 'end-13', ask: 'GET /v2/table/image/blobs/uploads/0', status: 404, code: 'BLOB_UPLOAD_UNKNOWN' },
  { end: 'end-14', ask: 'DELETE /v2/table/image/blobs/uploads/0', status: 404, code: 'BLOB_UPLOAD_UNKNOWN' },

  { end: '_catalog', ask: 'GET /v2/_catalog', status: 200, answered: { 'content-type': 'application/json' } },
  { end: '_catalog', ask: 'GET /v2/_catalog?n=x', status: 400, code: 'UNSUPPORTED' },
  { end: '_catalog', ask: 'DELETE /v2/_catalog', status: 405, code: 'UNSUPPORTED', answered: { allow: 'GET, HEAD' } }
]

describe('the table of endpoints', () => {
  it.each(rows.map(row => [row.end, row.ask, row.status, row] as const))(
    '%s: %s is %i',
    async (_end, _ask, _status, row) => {
      const [method = '', path = ''] = fill(row.ask).split(' ')
      const answer = await server.ask(path, {
        method,
        ...(row.headers === undefined ? {} : { headers: row.headers }),
        ...(row.body === undefined ? {} : { body: row.body })
      })
      expect({ status: answer.status, codes: answer.codes }).toEqual({
        status: row.status,
        codes: row.code === undefined ? [] : [row.code]
      })
      for (const [name, value] of Object.entries(row.answered ?? {})) {
        if (value instanceof RegExp) expect(answer.headers[name]).toMatch(value)
        else expect(answer.headers[name]).toBe(value)
      }
    }
  )

  it('has a success and a failure for every endpoint', () => {
    const of = (end: string) => rows.filter(row => row.end === end).map(row => row.status)
    // These succeed below and in uploads.test.ts, where there is something to lose.
    const consuming = ['end-5', 'end-6', 'end-9', 'end-10', 'end-14']
    const ends = [
      'end-1',
      'end-2',
      'end-3',
      'end-4a',
      'end-4b',
      'end-4c',
      'end-5',
      'end-6',
      'end-7a',
      'end-7b',
      'end-8a',
      'end-8b',
      'end-9',
      'end-10',
      'end-11',
      'end-12a',
      'end-12b',
      'end-13',
      'end-14'
    ]
    expect(ends.filter(end => !of(end).some(status => status >= 400))).toEqual([])
    expect(ends.filter(end => !of(end).some(status => status < 300)).sort()).toEqual(consuming.sort())
  })
})

describe('what the deletions delete', () => {
  it('end-9: a tag goes alone, a manifest takes its tags along', async () => {
    const manifest = await pushImage(server, 'delete/manifest', 'one')
    const digest = digestOf(manifest)
    await putManifest(server, 'delete/manifest', 'two', manifest)
    const at = (reference: string) => `/v2/delete/manifest/manifests/${reference}`
    expect((await server.ask(at('one'), { method: 'DELETE' })).status).toBe(202)
    expect((await server.ask(at('one'))).codes).toEqual(['MANIFEST_UNKNOWN'])
    expect((await server.ask(at('one'), { method: 'DELETE' })).status).toBe(404)
    for (const reference of ['two', digest]) expect((await server.ask(at(reference))).status).toBe(200)
    expect((await server.ask(at(digest), { method: 'DELETE' })).status).toBe(202)
    for (const reference of ['two', digest]) {
      expect((await server.ask(at(reference), { method: 'HEAD' })).status).toBe(404)
    }
    expect((await server.ask('/v2/delete/manifest/tags/list')).body.toString()).not.toContain('two')
  })

  it('end-10: a blob goes from one repository and stays in the other', async () => {
    const shared = randomBytes(50)
    const digest = await pushBlob(server, 'delete/blob', shared)
    await pushBlob(server, 'keep/blob', shared)
    const deleted = await server.ask(`/v2/delete/blob/blobs/${digest}`, { method: 'DELETE' })
    expect(deleted).toMatchObject({ status: 202, headers: { 'content-length': '0' } })
    expect((await server.ask(`/v2/delete/blob/blobs/${digest}`)).codes).toEqual(['BLOB_UNKNOWN'])
    expect((await server.ask(`/v2/delete/blob/blobs/${digest}`, { method: 'DELETE' })).status).toBe(404)
    expect((await server.ask(`/v2/keep/blob/blobs/${digest}`)).body.equals(shared)).toBe(true)
    expect((await server.ask(`/v2/delete/blob/blobs/uploads/?mount=${digest}`, { method: 'POST' })).status).toBe(201)
  })

  it('end-14: a session goes, its answer has no body', async () => {
    const location = await openSession(server, 'delete/session')
    expect(await server.ask(location, { method: 'DELETE' })).toMatchObject({ status: 204 })
  })
})

describe('end-2, ranges', () => {
  it.each([
    ['bytes=0-0', 206, 0, 1],
    ['bytes=0-9999', 206, 0, 10_000],
    ['bytes=100-199', 206, 100, 200],
    ['bytes=9999-', 206, 9_999, 10_000],
    ['bytes=5000-99999', 206, 5_000, 10_000],
    ['bytes=-1', 206, 9_999, 10_000],
    ['bytes=-20000', 206, 0, 10_000],
    ['bytes=0-', 206, 0, 10_000],
    ['bytes=0-1,1-6', 200, 0, 10_000],
    ['bytes=10000-,5-6', 206, 5, 7],
    ['lines=0-1', 200, 0, 10_000],
    ['bytes=a-b', 200, 0, 10_000]
  ])('%s is %i', async (range, status, start, end) => {
    const answer = await server.ask(`/v2/table/image/blobs/${blobDigest}`, { headers: { Range: range } })
    expect(answer.status).toBe(status)
    expect(answer.headers['content-range']).toBe(status === 206 ? `bytes ${start}-${end - 1}/10000` : undefined)
    expect(answer.headers['content-length']).toBe(String(end - start))
    expect(answer.body.equals(blob.subarray(start, end))).toBe(true)
  })

  it.each(['bytes=10000-', 'bytes=10000-10001', 'bytes=-0', 'bytes=6-5'])('%s is 416', async range => {
    const answer = await server.ask(`/v2/table/image/blobs/${blobDigest}`, { headers: { Range: range } })
    expect(answer).toMatchObject({
      status: 416,
      codes: ['SIZE_INVALID'],
      headers: { 'content-range': 'bytes */10000' }
    })
  })

  it('across leaves of a large blob, and of an empty one', async () => {
    const mebibyte = 1024 * 1024
    const large = randomBytes(2 * mebibyte + 5)
    const digest = await pushBlob(server, 'table/image', large)
    for (const [first, last] of [
      [mebibyte - 1, mebibyte],
      [0, 2 * mebibyte],
      [2 * mebibyte - 1, 2 * mebibyte + 4]
    ] as const) {
      const answer = await server.ask(`/v2/table/image/blobs/${digest}`, {
        headers: { Range: `bytes=${first}-${last}` }
      })
      expect(answer.status).toBe(206)
      expect(answer.body.equals(large.subarray(first, last + 1))).toBe(true)
    }
    const spans = [
      [2 * mebibyte, 2 * mebibyte + 4],
      [0, 0],
      [mebibyte - 1, mebibyte]
    ] as const
    const several = await server.ask(`/v2/table/image/blobs/${digest}`, {
      headers: { Range: `bytes=${spans.map(span => span.join('-')).join()}` }
    })
    expect(several.status).toBe(206)
    expect(parseMultipart(several.headers['content-type'], several.body).map(part => part.body)).toEqual(
      spans.map(([first, last]) => large.subarray(first, last + 1))
    )
    const empty = await pushBlob(server, 'table/image', Buffer.alloc(0))
    expect((await server.ask(`/v2/table/image/blobs/${empty}`, { headers: { Range: 'bytes=0-' } })).status).toBe(200)
  })

  it('If-Range and If-None-Match compare with the digest', async () => {
    const path = `/v2/table/image/blobs/${blobDigest}`
    const partial = { Range: 'bytes=0-9', 'If-Range': `"${blobDigest}"` }
    expect((await server.ask(path, { headers: partial })).status).toBe(206)
    expect((await server.ask(path, { headers: { ...partial, 'If-Range': '"other"' } })).status).toBe(200)
    for (const tag of [`"${blobDigest}"`, `W/"${blobDigest}"`, '*', `"x", "${blobDigest}"`]) {
      expect(await server.ask(path, { headers: { 'If-None-Match': tag } })).toMatchObject({
        status: 304,
        headers: { etag: `"${blobDigest}"` }
      })
    }
    expect((await server.ask(path, { headers: { 'If-None-Match': '"other"' } })).status).toBe(200)
    const missing = await server.ask(`/v2/table/image/blobs/${absent}`, { headers: { 'If-None-Match': '*' } })
    expect(missing.status).toBe(404)
  })
})

it('the configuration’s bytes are what the table’s image names', async () => {
  const got = await server.ask(`/v2/table/image/blobs/${digestOf(configBytes)}`)
  expect(got.body.equals(configBytes)).toBe(true)
})
