/** end-3, end-7, end-9 and end-12: everything a manifest can be, byte for byte. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import {
  configBytes,
  descriptorOf,
  indexOf,
  manifestOf,
  pushBlob,
  pushImage,
  putManifest,
  type Server,
  startServer,
  types,
  valuesOf
} from './server.ts'

let server: Server
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

/** Pushes the manifest and gets it back by tag and digest, byte for byte. */
async function expectKept(repository: string, bytes: Buffer, mediaType: string): Promise<void> {
  const digest = digestOf(bytes)
  const put = await putManifest(server, repository, 'kept', bytes, { 'Content-Type': mediaType })
  expect(put).toMatchObject({
    status: 201,
    codes: [],
    headers: { location: `/v2/${repository}/manifests/${digest}`, 'docker-content-digest': digest, etag: `"${digest}"` }
  })
  for (const reference of ['kept', digest, digestOf(bytes)]) {
    const got = await server.ask(`/v2/${repository}/manifests/${reference}`, { headers: { Accept: mediaType } })
    expect(got.status).toBe(200)
    expect(got.body.equals(bytes)).toBe(true)
    expect(got.headers).toMatchObject({
      'content-type': mediaType,
      'content-length': String(bytes.length),
      'docker-content-digest': digest,
      etag: `"${digest}"`
    })
  }
}

describe('end-7a keeps the bytes', () => {
  const layer = Buffer.from('a layer')
  const dockerManifest = {
    schemaVersion: 2,
    mediaType: types.dockerManifest,
    config: descriptorOf('application/vnd.docker.container.image.v1+json', configBytes),
    layers: [descriptorOf('application/vnd.docker.image.rootfs.diff.tar.gzip', layer)]
  }
  const foreignLayer = {
    ...descriptorOf('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', Buffer.from('never pushed')),
    urls: ['https://example.com/layer']
  }
  const kept: readonly (readonly [string, string, object | string])[] = [
    ['an OCI image', types.manifest, manifestOf([layer]).toString()],
    ['an image without layers', types.manifest, manifestOf().toString()],
    ['a Docker image', types.dockerManifest, dockerManifest],
    ['a Docker image with a foreign layer', types.dockerManifest, { ...dockerManifest, layers: [foreignLayer] }],
    [
      'an image with foreign layers of any packing',
      types.dockerManifest,
      {
        ...dockerManifest,
        layers: [
          'vnd.docker.image.rootfs.foreign.diff.tar',
          'vnd.docker.image.rootfs.foreign.diff.tar.zstd',
          'vnd.oci.image.layer.nondistributable.v1.tar',
          'vnd.oci.image.layer.nondistributable.v1.tar+zstd'
        ].map(type => ({ ...foreignLayer, mediaType: `application/${type}` }))
      }
    ],
    ['an empty index', types.index, { schemaVersion: 2, mediaType: types.index, manifests: [] }],
    ['an empty list', types.dockerList, { schemaVersion: 2, mediaType: types.dockerList, manifests: [] }],
    [
      'an artifact',
      types.manifest,
      {
        schemaVersion: 2,
        mediaType: types.manifest,
        artifactType: 'application/vnd.example.thing',
        config: descriptorOf(types.empty, Buffer.from('{}')),
        layers: [descriptorOf('text/plain', layer)],
        annotations: { 'org.example.ключ': 'значение 📦' }
      }
    ],
    [
      'an artifact manifest',
      types.artifact,
      { mediaType: types.artifact, artifactType: 'a/b', blobs: [descriptorOf('a/b', layer)] }
    ],
    ['a type nobody knows', 'application/vnd.example.unknown.v7+json', { any: ['thing', true, null] }],
    [
      'white space, order and escapes as they came',
      types.manifest,
      `\n{ "layers" : [ ],\t"config":${JSON.stringify(descriptorOf(types.config, configBytes))}, "schemaVersion":2.0,\r\n"annotations":{"a":"\\u0041\\/"},"mediaType":"${types.manifest}"}\n\n`
    ]
  ]
  it.each(kept)('of %s', async (name, mediaType, content) => {
    const repository = `kept/${name.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`
    for (const bytes of [configBytes, layer, Buffer.from('{}')]) await pushBlob(server, repository, bytes)
    await expectKept(
      repository,
      Buffer.from(typeof content === 'string' ? content : JSON.stringify(content)),
      mediaType
    )
  })

  it('up to 4 MiB exactly, and refuses one byte more, declared or not', async () => {
    await pushBlob(server, 'kept/large', configBytes)
    const limit = 4 * 1024 * 1024
    const frame = manifestOf([], { annotations: { pad: '' } })
    const whole = (size: number) => manifestOf([], { annotations: { pad: 'x'.repeat(size - frame.length) } })
    const largest = whole(limit)
    expect(largest.length).toBe(limit)
    await expectKept('kept/large', largest, types.manifest)
    const more = whole(limit + 1)
    for (const headers of [{}, { 'Transfer-Encoding': 'chunked' }]) {
      const answer = await putManifest(server, 'kept/large', 'more', more, headers)
      expect(answer).toMatchObject({ status: 413, codes: ['SIZE_INVALID'] })
    }
    expect((await server.ask('/v2/kept/large/manifests/more')).status).toBe(404)
  })

  it('under sha512, when that is what the reference says', async () => {
    await pushBlob(server, 'kept/sha512', configBytes)
    const bytes = manifestOf([], { annotations: { of: 'sha512' } })
    const digest = digestOf(bytes, 'sha512')
    const put = await putManifest(server, 'kept/sha512', digest, bytes)
    expect(put).toMatchObject({ status: 201, headers: { 'docker-content-digest': digest } })
    const got = await server.ask(`/v2/kept/sha512/manifests/${digest}`)
    expect(got.body.equals(bytes)).toBe(true)
    expect(got.headers['docker-content-digest']).toBe(digest)
  })

  it.each(['blake3', 'sha384', 'sha256+b64'])(
    'under no digest of %s, which is unknown where it is asked for',
    async algorithm => {
      await pushBlob(server, 'kept/other', configBytes)
      const digest = `${algorithm}:${'a'.repeat(64)}`
      const path = `/v2/kept/other`
      for (const method of ['GET', 'HEAD', 'DELETE']) {
        const manifest = await server.ask(`${path}/manifests/${digest}`, { method })
        expect(manifest).toMatchObject({ status: 404, codes: method === 'HEAD' ? [] : ['MANIFEST_UNKNOWN'] })
        const blob = await server.ask(`${path}/blobs/${digest}`, { method })
        expect(blob).toMatchObject({ status: 404, codes: method === 'HEAD' ? [] : ['BLOB_UNKNOWN'] })
      }
      expect(await server.ask(`${path}/blobs/uploads/?mount=${digest}`, { method: 'POST' })).toMatchObject({
        status: 202
      })
      const refused = [
        await putManifest(server, 'kept/other', digest, manifestOf()),
        await server.ask(`${path}/blobs/uploads/?digest=${digest}`, { method: 'POST', body: configBytes }),
        await server.ask(`${path}/blobs/uploads/${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}?digest=${digest}`, {
          method: 'PUT'
        })
      ]
      for (const answer of refused) {
        expect(answer).toMatchObject({ status: 400, codes: ['DIGEST_INVALID'] })
        expect(answer.body.toString()).toContain(
          `unsupported digest algorithm \\"${algorithm}\\": use sha256 or sha512`
        )
      }
    }
  )

  it('of an index of indexes, children first', async () => {
    const image = await pushImage(server, 'kept/nested', 'image')
    const inner = indexOf([image])
    const middle = indexOf([inner], { annotations: { level: '2' } })
    const outer = indexOf([middle, image])
    expect(await putManifest(server, 'kept/nested', 'outer', outer)).toMatchObject({
      status: 404,
      codes: ['MANIFEST_BLOB_UNKNOWN']
    })
    for (const bytes of [inner, middle]) {
      expect((await putManifest(server, 'kept/nested', digestOf(bytes), bytes)).status).toBe(201)
    }
    const put = await putManifest(server, 'kept/nested', 'outer', outer)
    expect(put).toMatchObject({
      status: 201,
      headers: {
        'x-ipfs-path': expect.stringMatching(new RegExp(`^/ipfs/baf\\w+/blobs/sha256/${digestOf(outer).slice(7)}$`))
      }
    })
    await expectKept('kept/nested', outer, types.index)
  })

  it('and their type, also under parameters and other letter case', async () => {
    await pushBlob(server, 'kept/type', configBytes)
    const put = await putManifest(server, 'kept/type', 'v1', manifestOf(), {
      'Content-Type': `${types.manifest.toUpperCase()}; charset=utf-8`
    })
    expect(put.status).toBe(201)
    expect((await server.ask('/v2/kept/type/manifests/v1')).headers['content-type']).toBe(types.manifest)
  })
})

describe('end-7 refuses', () => {
  const config = descriptorOf(types.config, configBytes)
  const missing = [
    descriptorOf(types.layer, Buffer.from('missing 1')),
    descriptorOf(types.layer, Buffer.from('missing 2'))
  ]
  const image = { schemaVersion: 2, mediaType: types.manifest, config, layers: [] }

  it('what misses blobs, naming every one', async () => {
    await pushBlob(server, 'refused', configBytes)
    const answer = await putManifest(
      server,
      'refused',
      'v1',
      Buffer.from(JSON.stringify({ ...image, layers: missing }))
    )
    expect(answer).toMatchObject({ status: 404, codes: ['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN'] })
    for (const { digest } of missing) expect(answer.body.toString()).toContain(digest)
  })

  it('blobs that only another repository has', async () => {
    await pushImage(server, 'refused-owner', 'v1')
    const theirs = (await server.ask('/v2/refused-owner/manifests/v1')).body
    expect((await putManifest(server, 'refused-stranger', 'v1', theirs)).codes).toContain('MANIFEST_BLOB_UNKNOWN')
  })

  it.each<[string, string, string | object]>([
    ['nothing', types.manifest, ''],
    ['no JSON', types.manifest, '{'],
    ['a list', types.manifest, '[]'],
    ['another type than it says', types.index, image],
    ['layers beside manifests (CVE-2021-41190)', types.manifest, { ...image, manifests: [] }],
    ['manifests beside layers (CVE-2021-41190)', types.index, { ...image, mediaType: types.index, manifests: [] }],
    ['Layers', types.manifest, { ...image, Layers: [] }],
    [
      'schema 1',
      'application/vnd.docker.distribution.manifest.v1+json',
      { schemaVersion: 1, name: 'a', tag: 'b', fsLayers: [] }
    ],
    ['schemaVersion 3', types.manifest, { ...image, schemaVersion: 3 }],
    ['no config', types.manifest, { ...image, config: undefined }],
    ['layers that are no list', types.manifest, { ...image, layers: {} }],
    ['a layer without a digest', types.manifest, { ...image, layers: [{ mediaType: types.layer, size: 1 }] }],
    ['a negative size', types.manifest, { ...image, config: { ...config, size: -1 } }],
    ['a digest with a path in it', types.manifest, { ...image, config: { ...config, digest: 'sha256:../../x' } }],
    ['a subject that is no descriptor', types.manifest, { ...image, subject: 'sha256:0' }],
    ['annotations that are no strings', types.manifest, { ...image, annotations: { a: 1 } }],
    ['a type that is none', 'nonsense', image]
  ])('%s', async (_, mediaType, content) => {
    await pushBlob(server, 'refused', configBytes)
    const body = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content))
    const put = { method: 'PUT', headers: { 'Content-Type': mediaType }, body }
    const answer = await server.ask('/v2/refused/manifests/v1', put)
    expect(answer).toMatchObject({ status: 400, codes: ['MANIFEST_INVALID'] })
    expect((await server.ask('/v2/refused/manifests/v1')).status).toBe(404)
  })
})

describe('end-7b', () => {
  it('tags many at once and names each in OCI-Tag', async () => {
    await pushBlob(server, 'tagged', configBytes)
    const bytes = manifestOf()
    const tags = Array.from({ length: 40 }, (_, at) => `v1.${String(at).padStart(2, '0')}`)
    const query = tags.map(tag => `tag=${tag}`).join('&')
    const put = await putManifest(server, 'tagged', `${digestOf(bytes)}?${query}`, bytes)
    expect(put.status).toBe(201)
    expect(valuesOf(put, 'oci-tag').flatMap(value => value.split(/, */))).toEqual(tags)
    expect(JSON.parse((await server.ask('/v2/tagged/tags/list')).body.toString())).toEqual({ name: 'tagged', tags })
    for (const tag of tags) {
      expect(
        (await server.ask(`/v2/tagged/manifests/${tag}`, { method: 'HEAD' })).headers['docker-content-digest']
      ).toBe(digestOf(bytes))
    }
  })

  it('tags none when one is no tag, or the target is too long', async () => {
    await pushBlob(server, 'untagged', configBytes)
    const reference = digestOf(manifestOf())
    expect((await putManifest(server, 'untagged', `${reference}?tag=a&tag=-b`, manifestOf())).status).toBe(400)
    const many = Array.from({ length: 1000 }, (_, at) => `tag=tag-${at}`).join('&')
    expect(await putManifest(server, 'untagged', `${reference}?${many}`, manifestOf())).toMatchObject({
      status: 414,
      codes: ['UNSUPPORTED']
    })
    expect((await server.ask('/v2/untagged/tags/list')).body.toString()).not.toContain('"a"')
  })
})

describe('conditions', () => {
  it('If-Match on PUT: only over what the client saw', async () => {
    await pushBlob(server, 'match', configBytes)
    const [first, second, third] = ['1', '2', '3'].map(at => manifestOf([], { annotations: { at } })) as [
      Buffer,
      Buffer,
      Buffer
    ]
    const put = (bytes: Buffer, headers: Record<string, string>) => putManifest(server, 'match', 'v1', bytes, headers)
    expect(await put(first, { 'If-Match': '*' })).toMatchObject({ status: 412, codes: ['DENIED'] })
    expect((await put(first, { 'If-None-Match': '*' })).status).toBe(201)
    expect((await put(second, { 'If-None-Match': '*' })).status).toBe(412)
    expect((await put(second, { 'If-Match': `"${digestOf(third)}"` })).status).toBe(412)
    expect((await put(second, { 'If-Match': `W/"${digestOf(first)}"` })).status).toBe(412)
    expect((await put(second, { 'If-Match': `"${digestOf(third)}", "${digestOf(first)}"` })).status).toBe(201)
    expect((await put(third, { 'If-Match': `"${digestOf(first)}"` })).status).toBe(412)
    expect((await server.ask('/v2/match/manifests/v1')).body.equals(second)).toBe(true)
  })

  it('of eight that race with one If-Match, one wins', async () => {
    await pushBlob(server, 'race', configBytes)
    await putManifest(server, 'race', 'v1', manifestOf())
    const racers = Array.from({ length: 8 }, (_, at) => manifestOf([], { annotations: { racer: String(at) } }))
    const headers = { 'If-Match': `"${digestOf(manifestOf())}"` }
    const answers = await Promise.all(racers.map(bytes => putManifest(server, 'race', 'v1', bytes, headers)))
    const statuses = answers.map(answer => answer.status)
    expect(statuses.filter(status => status === 201)).toHaveLength(1)
    expect(statuses.filter(status => status === 412)).toHaveLength(7)
    const winner = racers[statuses.indexOf(201)]
    expect((await server.ask('/v2/race/manifests/v1')).body.equals(winner ?? Buffer.alloc(0))).toBe(true)
  })

  it('If-None-Match on GET and HEAD: 304 with the same headers', async () => {
    const bytes = await pushImage(server, 'none-match', 'v1')
    const tag = `"${digestOf(bytes)}"`
    for (const method of ['GET', 'HEAD']) {
      const answer = await server.ask('/v2/none-match/manifests/v1', { method, headers: { 'If-None-Match': tag } })
      expect(answer).toMatchObject({ status: 304, headers: { etag: tag, 'docker-content-digest': digestOf(bytes) } })
    }
    expect((await server.ask('/v2/none-match/manifests/v1', { headers: { 'If-None-Match': '"no"' } })).status).toBe(200)
  })

  it('If-Match on DELETE', async () => {
    const bytes = await pushImage(server, 'delete-match', 'v1')
    const remove = (tag: string) =>
      server.ask('/v2/delete-match/manifests/v1', { method: 'DELETE', headers: { 'If-Match': tag } })
    expect((await remove(`"${digestOf(configBytes)}"`)).status).toBe(412)
    expect((await remove(`"${digestOf(bytes)}"`)).status).toBe(202)
  })
})
