/** Requests that nobody means well with, each with the one answer it may get. */
import { gzipSync } from 'node:zlib'
import { digestOf } from '../../src/oci/digest.ts'
import { configBytes, descriptorOf, manifestOf, types } from './server.ts'
import { requestOf, type WireOptions } from './wire.ts'

export interface HostileRequest extends WireOptions {
  name: string
  /** `{session}` stands for the path of an open upload session, `{id}` for its name. */
  send: Buffer
  /** The status of each answer on the connection. */
  statuses: number[]
  /** Needs a door that waits 400 ms for headers and for a pausing body, no longer. */
  hasty?: true
  /** The code of the last answer's body; `undefined` where it is no error. */
  code?: string
}

/** A wanted answer: status and, of an error, its code. */
type Expected = readonly [status: number, code?: string]

const digest = digestOf(Buffer.from('nothing'))
const a64 = 'a'.repeat(64)
const close = 'Connection: close'
const head = `Host: registry.example\r\n${close}\r\n`

const unsupported: Expected = [400, 'UNSUPPORTED']
const nowhere: Expected = [404, 'UNSUPPORTED']
const name: Expected = [400, 'NAME_INVALID']
const tag: Expected = [400, 'MANIFEST_INVALID']
const wrong: Expected = [400, 'DIGEST_INVALID']
const lost: Expected = [404, 'BLOB_UPLOAD_UNKNOWN']

function row(title: string, send: Buffer, [status, code]: Expected, options: WireOptions = {}): HostileRequest {
  return { name: title, send, statuses: [status], ...(code === undefined ? {} : { code }), ...options }
}

function get(target: string, expected: Expected, headers: readonly string[] = []): HostileRequest {
  const title = `GET ${target} ${headers.join(' ')}`.trim().replaceAll(/[^\x20-\x7e]/g, '·')
  return row(
    title.length > 120 ? `${title.slice(0, 60)}… of ${title.length} characters` : title,
    requestOf('GET', target, headers),
    expected
  )
}

function raw(title: string, text: string | Buffer, expected: Expected, options: WireOptions = {}): HostileRequest {
  return row(title, typeof text === 'string' ? Buffer.from(text, 'latin1') : text, expected, options)
}

const paths: HostileRequest[] = [
  get('/v2/../../etc/passwd', nowhere),
  get('/v2/app/../other/manifests/v1', name),
  get('/v2/%2e%2e/%2e%2e/manifests/v1', name),
  get('/v2/./manifests/v1', name),
  get('/v2/app/blobs/../../../etc/passwd', nowhere),
  get('/v2/app/blobs/..', wrong),
  get('/v2/app/manifests/..', tag),
  get('/v2/app/manifests/.', tag),
  get('/v2/app/manifests/%2e%2e%2f%2e%2e%2fetc%2fpasswd', nowhere),
  get('/v2/app/manifests/..%5c..%5cwindows', tag),
  get('/v2/..%252f..%252fapp/manifests/v1', name),
  get('/v2/%c0%ae%c0%ae/manifests/v1', unsupported),
  get('/v2//manifests/v1', nowhere),
  get('/v2/app//manifests/v1', name),
  get('/v2//app/manifests/v1', name),
  get('/v2///', nowhere),
  get('//v2/', nowhere),
  get('/v2/app/manifests/v1//', nowhere),
  get('/v2/app/manifests/', nowhere),
  get('/v2/app/blobs/', nowhere),
  get('/v2/app%00/manifests/v1', name),
  get('/v2/app/manifests/v1%00', tag),
  get('/v2/app/blobs/sha256:%00', wrong),
  get('/v2/%/manifests/v1', unsupported),
  get('/v2/%zz/manifests/v1', unsupported),
  get('/v2/%c3%28/manifests/v1', unsupported),
  get('/v2/%ed%a0%80/manifests/v1', unsupported),
  get('/v2/%f8%88%80%80%80/manifests/v1', unsupported),
  get('/v2/app/manifests/v1%', unsupported),
  get('/v2/%E2%80%AEapp/manifests/v1', name),
  get('/v2/%EF%BD%81pp/manifests/v1', name),
  get('/v2/%E2%84%AAelvin/manifests/v1', name),
  get('/v2/a%CC%81/manifests/v1', name),
  get('/v2/app/manifests/v%F0%9F%92%A3', tag),
  get('/v2/\xff\xfe/manifests/v1', unsupported),
  get('/v2/App/manifests/v1', name),
  get('/v2/-app/manifests/v1', name),
  get('/v2/app-/manifests/v1', name),
  get('/v2/a..b/manifests/v1', name),
  get('/v2/a___b/manifests/v1', name),
  get('/v2/a.-b/manifests/v1', name),
  get('/v2/app:v1/manifests/v1', name),
  get('/v2/app@sha256/manifests/v1', name),
  get('/v2/$(id)/manifests/v1', name),
  get('/v2/app;x=1/manifests/v1', name),
  get('/v2/app%20/manifests/v1', name),
  get('/v2/app%0d%0aX-Evil:%201/manifests/v1', name),
  get(`/v2/${'a'.repeat(256)}/manifests/v1`, name),
  get(`/v2/${'a/'.repeat(128)}a/manifests/v1`, name),
  get(`/v2/${'a'.repeat(255)}/manifests/v1`, [404, 'NAME_UNKNOWN']),
  get(`/v2/${'a-'.repeat(3000)}/manifests/v1`, name),
  get(`/v2/app/manifests/${'v'.repeat(129)}`, tag),
  get(`/v2/app/manifests/${'v'.repeat(8_000)}`, tag),
  get(`/v2/app/manifests/${'v'.repeat(9_000)}`, [414, 'UNSUPPORTED']),
  get(`/v2/app/manifests/${'v'.repeat(20_000)}`, [431, 'UNSUPPORTED']),
  get(`/${'x'.repeat(9_000)}`, nowhere),
  get('/v2/__proto__/manifests/v1', name),
  get('/v2/constructor/manifests/__proto__', [404, 'NAME_UNKNOWN']),
  get('/v2/tags/list', nowhere),
  get('/v2/app/tags/list/more', nowhere),
  get('/v2/app/tags/LIST', nowhere),
  get('/v2/_catalog/app', nowhere),
  get('/v2/_catalog/../_catalog', nowhere),
  get('/v2/#/manifests/v1', name),
  get('/V2/', nowhere),
  get('/v2%2f', nowhere),
  get('http://evil.example//v2/', nowhere),
  get('http://evil.example/v2/app/blobs/x', wrong),
  get('file:///etc/passwd', nowhere),
  get('*', [200]),
  get('/livez/../v2/', nowhere),
  get('/metrics', nowhere),
  get('/debug/pprof/', nowhere),
  get('/.git/config', nowhere)
]

const digests: HostileRequest[] = [
  ...[
    'sha256:',
    `sha256:${'a'.repeat(63)}`,
    `sha256:${'a'.repeat(65)}`,
    `sha256:${'A'.repeat(64)}`,
    `sha256:${'g'.repeat(64)}`,
    `SHA256:${a64}`,
    `sha256:${a64}:${a64}`,
    `sha256::${a64}`,
    `sha512:${a64}`,
    `sha512:${'a'.repeat(10_000 - 4_000)}`,
    `:${a64}`,
    `sha256:${'%D9%A1'.repeat(64)}`,
    `sha256:..%2f..%2f${'a'.repeat(56)}`.replaceAll('%2f', '%5c'),
    `sha256:${a64}%00`,
    `sha256:${a64}%0a`,
    `%20sha256:${a64}`,
    `__proto__:${a64}`
  ].map(value => get(`/v2/app/blobs/${value}`, wrong)),
  // Well formed, of algorithms that nothing is stored under.
  ...[`sha1:${'a'.repeat(40)}`, 'md5:d41d8cd98f00b204e9800998ecf8427e', `sha256+b64:${a64}`, `constructor:${a64}`].map(
    value => get(`/v2/app/blobs/${value}`, [404, 'BLOB_UNKNOWN'])
  ),
  get(`/v2/app/manifests/sha256:${'A'.repeat(64)}`, wrong),
  get('/v2/app/manifests/a:b', [404, 'MANIFEST_UNKNOWN']),
  get('/v2/app/referrers/latest', wrong),
  get(`/v2/app/referrers/sha256:${'z'.repeat(64)}`, wrong),
  row('DELETE of a digest with a NUL', requestOf('DELETE', '/v2/app/blobs/sha256:%00'), wrong)
]

const queries: HostileRequest[] = [
  get('/v2/_catalog?n=99999999999999999999999999999999', [200]),
  get('/v2/app/tags/list?n=9223372036854775807', [200]),
  get('/v2/app/tags/list?n=1e9', unsupported),
  get('/v2/app/tags/list?n=-1', unsupported),
  get('/v2/app/tags/list?n=1.5', unsupported),
  get('/v2/app/tags/list?n=0x10', unsupported),
  get('/v2/app/tags/list?n=%D9%A1', unsupported),
  get('/v2/app/tags/list?n=NaN', unsupported),
  get('/v2/app/tags/list?n=Infinity', unsupported),
  get('/v2/app/tags/list?n=+1', unsupported),
  get(`/v2/app/tags/list?n=${'9'.repeat(5_000)}`, [200]),
  get('/v2/app/tags/list?n=1&n=x', [200]),
  get('/v2/app/tags/list?last=%00', unsupported),
  get(`/v2/app/tags/list?last=${'z'.repeat(256)}`, unsupported),
  get('/v2/app/tags/list?last=../../etc', [200]),
  get('/v2/_catalog?last=%ff%fe', [200]),
  get('/v2/_catalog?n=%', unsupported),
  get(`/v2/app/referrers/${digest}?n=-5`, unsupported),
  get(`/v2/app/referrers/${digest}?artifactType=${'x'.repeat(7_000)}`, [200]),
  get(`/v2/app/referrers/${digest}?artifactType=%0d%0aX-Evil:%201`, [200]),
  get(`/v2/app/tags/list?${'a=b&'.repeat(1_500)}`, [200])
]

const post = (query: string, headers: readonly string[] = [], body: string | Buffer = '') =>
  requestOf('POST', `/v2/app/blobs/uploads/${query}`, headers, body)

const uploads: HostileRequest[] = [
  row('upload of an unknown algorithm', post('?digest-algorithm=__proto__'), wrong),
  row('upload of an algorithm with a path', post('?digest-algorithm=../../sha256'), wrong),
  row('mount of no digest', post('?mount=&from=app'), wrong),
  row('upload of a digest twice', post(`?digest=x&digest=${digest}`, [], 'nothing'), wrong),
  row('upload under the digest of other bytes', post(`?digest=${digest}`, [], 'something'), wrong),
  row('an upload’s name with a traversal', requestOf('GET', '/v2/app/blobs/uploads/..%2f..%2f..%2fetc'), nowhere),
  row('an upload named ..', requestOf('GET', '/v2/app/blobs/uploads/..'), lost),
  row('an upload named by a NUL', requestOf('PATCH', '/v2/app/blobs/uploads/%00', [], 'x'), lost),
  row('an upload of somebody else', requestOf('GET', '/v2/other/blobs/uploads/{id}'), lost),
  row('an upload of somebody else, cancelled', requestOf('DELETE', '/v2/other/blobs/uploads/{id}'), lost),
  row('an upload of somebody else, written to', requestOf('PATCH', '/v2/other/blobs/uploads/{id}', [], 'x'), lost),
  row('an upload of somebody else, closed', requestOf('PUT', `/v2/other/blobs/uploads/{id}?digest=${digest}`), lost),
  row('an upload with a line break behind it', requestOf('GET', '{session}%0a'), lost),
  row('an upload with more behind it', requestOf('GET', '{session}/x'), nowhere),
  row(
    'a chunk that starts at 2^53',
    requestOf('PATCH', '{session}', ['Content-Range: 9007199254740993-9007199254740994'], 'xx'),
    [416, 'BLOB_UPLOAD_INVALID']
  ),
  row(
    'a chunk that starts at 10^17',
    requestOf('PATCH', '{session}', ['Content-Range: 99999999999999999-99999999999999999'], 'x'),
    [416, 'BLOB_UPLOAD_INVALID']
  ),
  row('a chunk before the start', requestOf('PATCH', '{session}', ['Content-Range: -1-5'], 'xxxxxx'), [
    400,
    'BLOB_UPLOAD_INVALID'
  ]),
  row('a chunk that ends before it starts', requestOf('PATCH', '{session}', ['Content-Range: 5-4'], 'x'), [
    416,
    'BLOB_UPLOAD_INVALID'
  ]),
  row('a chunk range in hex', requestOf('PATCH', '{session}', ['Content-Range: 0x0-0x1'], 'xx'), [
    400,
    'BLOB_UPLOAD_INVALID'
  ]),
  row('two chunk ranges', requestOf('PATCH', '{session}', ['Content-Range: 0-0', 'Content-Range: 1-1'], 'x'), [
    400,
    'BLOB_UPLOAD_INVALID'
  ]),
  row('a chunk longer than its range', requestOf('PATCH', '{session}', ['Content-Range: 0-0'], 'xx'), [
    400,
    'SIZE_INVALID'
  ]),
  row('a chunk shorter than its range', requestOf('PATCH', '{session}', ['Content-Range: 0-99'], 'xx'), [
    400,
    'SIZE_INVALID'
  ]),
  row(
    'a stream longer than its range',
    requestOf('PATCH', '{session}', ['Content-Range: 0-0', 'Transfer-Encoding: chunked'], '2\r\nxx\r\n0\r\n\r\n'),
    [400, 'SIZE_INVALID']
  ),
  row(
    'a stream shorter than its range',
    requestOf('PATCH', '{session}', ['Content-Range: 0-9', 'Transfer-Encoding: chunked'], '2\r\nxx\r\n0\r\n\r\n'),
    [400, 'SIZE_INVALID']
  ),
  row('a closing PUT of 10^5 digests', requestOf('PUT', `{session}?${'digest=x&'.repeat(800)}`), wrong),
  row(
    'a gzip of the blob under the blob’s digest',
    post(`?digest=${digest}`, ['Content-Encoding: gzip'], gzipSync('nothing')),
    wrong
  ),
  row(
    'a gzip bomb under the digest of its zeros',
    post(`?digest=${digestOf(Buffer.alloc(1 << 20))}`, ['Content-Encoding: gzip'], gzipSync(Buffer.alloc(1 << 20))),
    wrong
  ),
  row(
    'a gzip in a transfer coding',
    post(`?digest=${digest}`, ['Transfer-Encoding: gzip, chunked'], '1\r\nx\r\n0\r\n\r\n'),
    wrong
  )
]

const put = (
  body: string | Buffer,
  headers: readonly string[] = [`Content-Type: ${types.manifest}`],
  reference = 'evil'
) => requestOf('PUT', `/v2/app/manifests/${reference}`, headers, body)
const image = (more: object) => Buffer.from(JSON.stringify({ ...JSON.parse(manifestOf().toString()), ...more }))
const config = descriptorOf(types.config, configBytes)
const deep = 500_000

const manifests: HostileRequest[] = [
  row('a manifest of nothing', put('', ['Content-Length: 0']), tag),
  row('a manifest of NUL', put('\0'), tag),
  row('half an object', put('{"schemaVersion":2'), tag),
  row('two objects', put('{}{}'), tag),
  row('a byte order mark', put(Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), manifestOf()])), tag),
  row('UTF-16', put(Buffer.from(manifestOf().toString(), 'utf16le')), tag),
  row(
    'bytes that are no UTF-8',
    put(Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xff, 0xc0), Buffer.from('"}')])),
    tag
  ),
  row('NaN', put(manifestOf().toString().replace('"schemaVersion":2', '"schemaVersion":NaN')), tag),
  row(
    'Infinity as a size',
    put(
      manifestOf()
        .toString()
        .replace(/"size":\d+/, '"size":1e400')
    ),
    tag
  ),
  row(
    'a size of 2^53',
    put(
      manifestOf()
        .toString()
        .replace(/"size":\d+/, '"size":9007199254740993')
    ),
    tag
  ),
  row('a size of half a byte', put(image({ config: { ...config, size: 0.5 } })), tag),
  row('a size as text', put(image({ config: { ...config, size: '36' } })), tag),
  row(
    'a number of a million digits',
    put(
      manifestOf()
        .toString()
        .replace(/"size":\d+/, `"size":1${'0'.repeat(1_000_000)}`)
    ),
    tag
  ),
  row('comments', put(`/* */${manifestOf()}`), tag),
  row('a trailing comma', put(manifestOf().toString().replace(/}$/, ',}')), tag),
  row('single quotes', put("{'schemaVersion':2}"), tag),
  row('null', put('null'), tag),
  row('a string', put('"manifest"'), tag),
  row('lists in lists in lists', put('['.repeat(deep)), tag),
  row('objects in objects, never closed', put('{"a":'.repeat(deep)), tag),
  row(
    'a deep thing of a type nobody knows',
    put(`{"a":${'['.repeat(2_000)}${']'.repeat(2_000)}}`, ['Content-Type: a/b']),
    tag
  ),
  row(
    'a deep config',
    put(
      `{"schemaVersion":2,"mediaType":"${types.manifest}","config":${'['.repeat(deep)}${']'.repeat(deep)},"layers":[]}`
    ),
    tag
  ),
  row('__proto__ as a field', put('{"__proto__":{"schemaVersion":2,"config":{},"layers":[]}}'), tag),
  row(
    '__proto__ instead of a config',
    put(
      `{"schemaVersion":2,"mediaType":"${types.manifest}","layers":[],"__proto__":{"config":${JSON.stringify(config)}}}`
    ),
    tag
  ),
  row('constructor as media type', put(image({ mediaType: 'constructor' }), ['Content-Type: constructor']), tag),
  row('a media type with a line break', put(image({ mediaType: 'a/b\r\nX-Evil: 1' }), ['Content-Type: a/b']), tag),
  row('a media type of 5,000 characters', put(image({}), [`Content-Type: a/${'b'.repeat(5_000)}`]), tag),
  row('layers and manifests', put(image({ manifests: [] })), tag),
  row('the same field in two cases', put(image({ LAYERS: [] })), tag),
  row('layers twice', put(manifestOf().toString().replace('"layers":[]', '"layers":[],"layers":[]')), tag),
  row('a media type twice', put(manifestOf().toString().replace('{', `{"mediaType":"${types.index}",`)), tag),
  row('a config twice, once escaped', put(manifestOf().toString().replace('{', '{"c\\u006fnfig":null,')), tag),
  row(
    'a layer digest twice',
    put(
      image({ layers: [config] })
        .toString()
        .replace(/\{"mediaType":"[^"]+config[^{]+$/, rest => rest.replace('{', `{"digest":"${digest}",`))
    ),
    tag
  ),
  row('a digest that is a path', put(image({ layers: [{ ...config, digest: 'sha256:../../../etc/passwd' }] })), tag),
  row(
    'a digest of a megabyte',
    put(image({ layers: [{ ...config, digest: `sha256:${'a'.repeat(1_000_000)}` }] })),
    tag
  ),
  row(
    '100,000 layers that are not there',
    put(image({ layers: Array(20_000).fill(descriptorOf(types.layer, Buffer.from('x'))) })),
    [404, 'MANIFEST_BLOB_UNKNOWN']
  ),
  row('a subject of the wrong shape', put(image({ subject: [config] })), tag),
  row('a manifest that is its own child', put(image({ layers: [{ ...config, digest }] })), [
    404,
    'MANIFEST_BLOB_UNKNOWN'
  ]),
  row(
    'a gzip of a manifest',
    put(gzipSync(manifestOf()), [`Content-Type: ${types.manifest}`, 'Content-Encoding: gzip']),
    tag
  ),
  row('5 MiB declared, none sent', put('', ['Content-Length: 5242880']), [413, 'SIZE_INVALID']),
  row('5 MiB declared behind Expect', put('', ['Content-Length: 5242880', 'Expect: 100-continue']), [
    413,
    'SIZE_INVALID'
  ]),
  row(
    '4 MiB and a byte in chunks',
    put(`400001\r\n${' '.repeat(4 * 1024 * 1024 + 1)}\r\n0\r\n\r\n`, ['Transfer-Encoding: chunked']),
    [413, 'SIZE_INVALID']
  ),
  row('a manifest under another’s digest', put(manifestOf(), [`Content-Type: ${types.manifest}`], digest), wrong),
  row(
    'a tag parameter with a path',
    requestOf(
      'PUT',
      `/v2/app/manifests/${digestOf(manifestOf())}?tag=../x`,
      [`Content-Type: ${types.manifest}`],
      manifestOf()
    ),
    tag
  ),
  row('If-Match of garbage', put(manifestOf(), [`Content-Type: ${types.manifest}`, 'If-Match: """,,W/']), [
    412,
    'DENIED'
  ]),
  row(
    'If-Match of a thousand tags',
    put(manifestOf(), [`Content-Type: ${types.manifest}`, `If-Match: ${'"x", '.repeat(1_000)}`]),
    [412, 'DENIED']
  )
]

const ranges: HostileRequest[] = (
  [
    ['bytes=99999999999999999999-', [416, 'SIZE_INVALID']],
    ['bytes=0-99999999999999999999999999999', [200]],
    ['bytes=--5', [200]],
    ['bytes=-', [200]],
    ['bytes=', [200]],
    ['bytes=5', [200]],
    ['bytes=1-0', [416, 'SIZE_INVALID']],
    ['bytes=-0', [416, 'SIZE_INVALID']],
    ['bytes=0x0-0x1', [200]],
    ['bytes=1e0-2e0', [200]],
    ['bytes=٠-١'.replaceAll(/[^\x20-\x7e]/g, '\xd9'), [200]],
    [`bytes=${'0-0,'.repeat(2_000)}0-0`, [200]],
    [`${'x'.repeat(10_000)}=0-1`, [200]],
    ['bytes=0-0\x00', unsupported],
    ['bytes=9007199254740993-', [416, 'SIZE_INVALID']]
  ] as const
).map(([range, expected]) => get(`/v2/app/blobs/${digestOf(configBytes)}`, expected, [`Range: ${range}`]))

const framing: HostileRequest[] = [
  raw('nothing but a line break', '\r\n\r\n\r\nBAD\r\n\r\n', unsupported),
  raw('words', 'hello registry\r\n\r\n', unsupported),
  raw('HTTP/0.9', 'GET /v2/\r\n\r\n', unsupported),
  raw('HTTP/1.2', `GET /v2/ HTTP/1.2\r\n${head}\r\n`, unsupported),
  raw('HTTP/9.9', `GET /v2/ HTTP/9.9\r\n${head}\r\n`, unsupported),
  raw('the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', unsupported),
  raw('a TLS hello', Buffer.from('160301020001000001fc0303', 'hex'), unsupported),
  raw('an SSH banner', 'SSH-2.0-OpenSSH_9.9\r\n', unsupported),
  raw('a Redis command', '*1\r\n$4\r\nPING\r\n', unsupported),
  raw('random bytes', Buffer.from('00ff80c0deadbeef0d0a0d0a', 'hex'), unsupported),
  raw('two spaces in the request line', `GET  /v2/ HTTP/1.1\r\n${head}\r\n`, [200]),
  raw('a space in the target', `GET /v2/a b HTTP/1.1\r\n${head}\r\n`, unsupported),
  raw('a NUL in the target', `GET /v2/\0 HTTP/1.1\r\n${head}\r\n`, unsupported),
  raw('a tab in the target', `GET /v2/\t HTTP/1.1\r\n${head}\r\n`, unsupported),
  raw('a target without a slash', `GET v2/ HTTP/1.1\r\n${head}\r\n`, unsupported),
  raw('a backslash for a slash', `GET \\v2\\ HTTP/1.1\r\n${head}\r\n`, unsupported),
  raw('no Host', `GET /v2/ HTTP/1.1\r\n${close}\r\n\r\n`, unsupported),
  raw('a header without a colon', `GET /v2/ HTTP/1.1\r\n${head}Evil\r\n\r\n`, unsupported),
  raw('a space before the colon', `GET /v2/ HTTP/1.1\r\n${head}Evil : 1\r\n\r\n`, unsupported),
  raw('a header without a name', `GET /v2/ HTTP/1.1\r\n${head}: 1\r\n\r\n`, unsupported),
  raw('a NUL in a header', `GET /v2/ HTTP/1.1\r\n${head}Evil: \0\r\n\r\n`, unsupported),
  raw('a lone carriage return in a header', `GET /v2/ HTTP/1.1\r\n${head}Evil: a\rb\r\n\r\n`, unsupported),
  raw('a folded header', `GET /v2/ HTTP/1.1\r\n${head}Evil: a\r\n b\r\n\r\n`, unsupported),
  raw('lines ended by LF', 'GET /v2/ HTTP/1.1\nHost: a\nConnection: close\n\n', unsupported),
  raw('a header of 20 KiB', `GET /v2/ HTTP/1.1\r\n${head}Evil: ${'x'.repeat(20_000)}\r\n\r\n`, [431, 'UNSUPPORTED']),
  raw('a header of 60 KiB', `GET /v2/ HTTP/1.1\r\n${head}Evil: ${'x'.repeat(60_000)}\r\n\r\n`, [431, 'UNSUPPORTED']),
  raw('a Range of 40 KiB', `GET /v2/ HTTP/1.1\r\n${head}Range: bytes=${'0-1,'.repeat(10_000)}\r\n\r\n`, unsupported),
  raw('a Range of 200 KiB', `GET /v2/ HTTP/1.1\r\n${head}Range: bytes=${'0-1,'.repeat(50_000)}\r\n\r\n`, unsupported),
  raw('5,000 headers', `GET /v2/ HTTP/1.1\r\n${head}${'A: b\r\n'.repeat(5_000)}\r\n`, [431, 'UNSUPPORTED']),
  raw('500 headers', `GET /v2/ HTTP/1.1\r\n${head}${'A:b\r\n'.repeat(500)}\r\n`, [200]),
  raw('two Hosts', `GET /v2/ HTTP/1.1\r\nHost: evil\r\n${head}\r\n`, unsupported),
  raw('two Hosts of HTTP/1.0', `GET /v2/ HTTP/1.0\r\nHost: evil\r\n${head}\r\n`, unsupported),
  raw(
    'two credentials',
    `GET /v2/ HTTP/1.1\r\n${head}Authorization: Basic YTpi\r\nauthorization: Bearer x\r\n\r\n`,
    unsupported
  ),
  raw(
    'chunks by HTTP/1.0',
    `POST /v2/app/blobs/uploads/ HTTP/1.0\r\n${head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    unsupported
  ),
  raw('a Host that is none', 'GET /v2/ HTTP/1.1\r\nHost: a/../"><script>\r\nConnection: close\r\n\r\n', [200]),
  raw('another Expect', `GET /v2/ HTTP/1.1\r\n${head}Expect: 200-ok\r\n\r\n`, [417, 'UNSUPPORTED']),
  raw('an upgrade', 'GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n', [200]),
  ...(
    [
      ['Content-Length: -1'],
      ['Content-Length: +1'],
      ['Content-Length: abc'],
      ['Content-Length: 0x5'],
      ['Content-Length: 5, 5'],
      ['Content-Length: 5 5'],
      ['Content-Length: 99999999999999999999999'],
      ['Content-Length: '],
      ['Content-Length: 5', 'Content-Length: 5'],
      ['Content-Length: 5', 'Content-Length: 6'],
      ['Content-Length: 5', 'Transfer-Encoding: chunked'],
      ['Transfer-Encoding: chunked', 'Content-Length: 5'],
      ['Transfer-Encoding: chunked, identity'],
      ['Transfer-Encoding: xchunked', 'Content-Length: 5'],
      ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
      ['Transfer-Encoding : chunked'],
      ['Transfer-Encoding: \x0bchunked'],
      ['Transfer-Encoding: chunked\t, identity']
    ] as const
  ).map(headers =>
    raw(
      `smuggling by ${headers.join(' and ')}`.replaceAll(/[^\x20-\x7e]/g, '·'),
      `POST /v2/app/blobs/uploads/?digest=${digest} HTTP/1.1\r\nHost: a\r\n${headers.join('\r\n')}\r\n\r\n0\r\n\r\nGET /v2/smuggled/tags/list HTTP/1.1\r\nHost: a\r\n${close}\r\n\r\n`,
      unsupported
    )
  ),
  ...(
    [
      ['zz', 'zz\r\nx\r\n0\r\n\r\n'],
      ['-1', '-1\r\nx\r\n0\r\n\r\n'],
      ['0x1', '0x1\r\nx\r\n0\r\n\r\n'],
      ['2^68', `${'F'.repeat(17)}\r\nx\r\n0\r\n\r\n`],
      ['nothing', '\r\nx\r\n0\r\n\r\n'],
      ['1, with two bytes', '1\r\nxx\r\n0\r\n\r\n'],
      ['1, ended by LF', '1\nx\n0\n\n'],
      ['1, with an endless extension', `1;${'e'.repeat(40_000)}\r\nx\r\n0\r\n\r\n`]
    ] as const
  ).map(([size, body]) =>
    raw(`a chunk of size ${size}`, requestOf('PATCH', '{session}', ['Transfer-Encoding: chunked'], body), unsupported)
  ),
  raw(
    'a HEAD with a broken chunk',
    requestOf('HEAD', '/v2/app/tags/list', ['Transfer-Encoding: chunked'], 'zz\r\n'),
    [400],
    { methods: ['HEAD'] }
  ),
  raw(
    'a trailer of 60 KiB',
    requestOf(
      'PATCH',
      '{session}',
      ['Transfer-Encoding: chunked'],
      `1\r\nx\r\n0\r\nEvil: ${'x'.repeat(60_000)}\r\n\r\n`
    ),
    [431, 'UNSUPPORTED']
  )
]

const methods: HostileRequest[] = [
  ...['TRACE', 'PROPFIND', 'LOCK', 'PURGE', 'M-SEARCH', 'QUERY'].map(method =>
    row(`${method} of the base`, requestOf(method, '/v2/'), [405, 'UNSUPPORTED'])
  ),
  ...['POST', 'PATCH', 'MKCOL'].map(method =>
    row(`${method} of a manifest`, requestOf(method, '/v2/app/manifests/v1', [], 'x'), [405, 'UNSUPPORTED'])
  ),
  row('DELETE of the tags', requestOf('DELETE', '/v2/app/tags/list'), [405, 'UNSUPPORTED']),
  row('PUT of a blob', requestOf('PUT', `/v2/app/blobs/${digest}`, [], 'nothing'), [405, 'UNSUPPORTED']),
  row('POST to a session', requestOf('POST', '{session}', [], 'x'), [405, 'UNSUPPORTED']),
  row('CONNECT', Buffer.from(`CONNECT evil.example:443 HTTP/1.1\r\n${head}\r\n`), [405, 'UNSUPPORTED']),
  row('a method nobody has', requestOf('FETCH', '/v2/'), unsupported),
  row('a method in lower case', requestOf('get', '/v2/'), unsupported),
  row('a method of a megabyte', Buffer.from('A'.repeat(1_000_000)), unsupported),
  row('a method in a header', requestOf('GET', '/v2/app/tags/list', ['X-HTTP-Method-Override: DELETE']), [200]),
  row('POST to a probe', requestOf('POST', '/livez', [], 'x'), nowhere)
]

const slowness: HostileRequest[] = [
  raw('headers that never end', 'GET /v2/ HTTP/1.1\r\nHost: a\r\nEvil: ', [408, 'UNSUPPORTED']),
  raw('a byte of a method', 'G', [408, 'UNSUPPORTED']),
  raw('headers that drip', 'GET /v2/ HTTP/1.1\r\n', [408, 'UNSUPPORTED'], {
    later: Array.from({ length: 20 }, () => ({ after: 60, bytes: 'A: b\r\n' }))
  }),
  raw('a chunk that stops', requestOf('PATCH', '{session}', ['Content-Length: 100'], 'ten bytes.'), [
    408,
    'BLOB_UPLOAD_INVALID'
  ]),
  raw('a stream that stops', requestOf('PATCH', '{session}', ['Transfer-Encoding: chunked'], '5\r\nbytes\r\n'), [
    408,
    'BLOB_UPLOAD_INVALID'
  ]),
  raw(
    'a stream that stops in a chunk',
    requestOf('PATCH', '{session}', ['Transfer-Encoding: chunked'], 'ffff\r\nbytes'),
    [408, 'BLOB_UPLOAD_INVALID']
  ),
  raw('a closing PUT that stops', requestOf('PUT', `{session}?digest=${digest}`, ['Content-Length: 7'], 'not'), [
    408,
    'BLOB_UPLOAD_INVALID'
  ]),
  raw('a POST that stops', post(`?digest=${digest}`, ['Content-Length: 7'], 'not'), [408, 'BLOB_UPLOAD_INVALID']),
  raw('ten terabytes that never come', post(`?digest=${digest}`, ['Content-Length: 10995116277760'], 'x'), [
    507,
    'UNAVAILABLE'
  ]),
  raw('a manifest that stops', put('{"schemaVersion"', ['Content-Length: 100']), [408, 'MANIFEST_INVALID']),
  raw('a GET with a body that never comes', requestOf('GET', '/v2/', ['Content-Length: 100'], 'x'), [200]),
  raw(
    'a chunk that promised, then the end',
    requestOf('PATCH', '{session}', ['Content-Length: 100'], 'ten bytes.'),
    unsupported,
    { halfClose: true }
  ),
  raw(
    'a stream cut by the end',
    requestOf('PATCH', '{session}', ['Transfer-Encoding: chunked'], '5\r\nby'),
    unsupported,
    { halfClose: true }
  ),
  raw('a manifest cut by the end', put('{"schemaVersion"', ['Content-Length: 100']), unsupported, { halfClose: true }),
  raw('headers cut by the end', 'GET /v2/ HTTP/1.1\r\nHost: a', unsupported, { halfClose: true }),
  {
    ...raw('a whole request, then the end', requestOf('GET', '/v2/', ['Connection: keep-alive']), [200], {
      halfClose: true
    })
  }
]

const pipelined = (...requests: readonly Buffer[]) => Buffer.concat(requests)
const alive = (target: string) => requestOf('GET', target, ['Connection: keep-alive'])

const pipelines: HostileRequest[] = [
  {
    name: 'thirty requests at once',
    send: pipelined(...Array(29).fill(alive('/v2/')), requestOf('GET', '/v2/')),
    statuses: Array(30).fill(200)
  },
  // A parser that lost its way ends the connection behind the answer that was under way.
  {
    name: 'garbage behind a request',
    send: pipelined(alive('/v2/'), Buffer.from('\0\0\0\0\r\n\r\n')),
    statuses: [200]
  },
  {
    name: 'garbage behind an error',
    send: pipelined(alive('/v2/App/tags/list'), Buffer.from('x\r\n\r\n')),
    statuses: [400],
    code: 'NAME_INVALID'
  },
  {
    name: 'a request behind one that closes',
    send: pipelined(requestOf('GET', '/v2/'), alive('/v2/')),
    statuses: [200]
  },
  {
    name: 'a request behind the body of a refused one',
    send: pipelined(
      requestOf('PUT', '/v2/App/manifests/v1', ['Connection: keep-alive'], 'x'.repeat(1000)),
      requestOf('GET', '/v2/App/tags/list')
    ),
    statuses: [400, 400],
    code: 'NAME_INVALID'
  },
  {
    name: 'a request inside the body of another',
    send: requestOf('PUT', '/v2/App/manifests/v1', [], `GET /v2/smuggled/tags/list HTTP/1.1\r\nHost: a\r\n\r\n`),
    statuses: [400],
    code: 'NAME_INVALID'
  }
]

export const hostileRequests: readonly HostileRequest[] = [
  ...paths,
  ...digests,
  ...queries,
  ...uploads,
  ...manifests,
  ...ranges,
  ...framing,
  ...methods,
  ...slowness.map(request => ({ ...request, hasty: true as const })),
  ...pipelines
]
