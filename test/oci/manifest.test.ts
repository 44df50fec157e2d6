import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RegistryError } from '../../src/errors.ts'
import {
  type Manifest,
  maxNames,
  parseManifest,
  readManifest,
  referencedDescriptors,
  referrerArtifactType,
  refuseManyNames
} from '../../src/oci/manifest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'

const digest = (seed: string) => `sha256:${seed.repeat(64).slice(0, 64)}`
const entry = (mediaType: string, seed: string) => ({ mediaType, digest: digest(seed), size: 3 })
const config = entry('application/vnd.oci.image.config.v1+json', 'c')
const layer = entry('application/vnd.oci.image.layer.v1.tar+gzip', 'a')
const image = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] }
const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [entry(mediaTypes.ociManifest, 'b')] }

function parse(document: unknown, contentType = ''): Manifest {
  return parseManifest(Buffer.from(JSON.stringify(document)), contentType)
}

const refused = (message: RegExp) =>
  expect.objectContaining({ reason: 'MANIFEST_INVALID', message: expect.stringMatching(message) })

/** Without a trace of undefined, as it is written. */
const read = (document: unknown, mediaType: string): Manifest =>
  readManifest(Buffer.from(JSON.stringify(document)), mediaType)

describe('parseManifest', () => {
  test('an image, an index, an artifact, Docker schema 2', () => {
    expect(parse(image)).toMatchObject({
      kind: 'manifest',
      config: { digest: config.digest },
      layers: [{ digest: layer.digest }]
    })
    expect(parse(index)).toMatchObject({ kind: 'index', manifests: [{ digest: digest('b') }] })
    expect(parse({ mediaType: mediaTypes.ociArtifact, artifactType: 'x/y', blobs: [layer] })).toMatchObject({
      kind: 'artifact',
      layers: [{}]
    })
    const docker = { ...image, mediaType: mediaTypes.dockerManifest }
    expect(parse(docker, `${mediaTypes.dockerManifest}; charset=utf-8`)).toMatchObject({ kind: 'manifest' })
  })

  test('the type comes from the field, the header, or the form', () => {
    const { mediaType: _, ...bare } = image
    expect(parse(bare).mediaType).toBe(mediaTypes.ociManifest)
    expect(parse(bare, mediaTypes.dockerManifest).mediaType).toBe(mediaTypes.dockerManifest)
    expect(() => parse({ schemaVersion: 2 })).toThrow(refused(/neither/))
  })

  test('an unknown type asks for nothing but JSON, yet a subject counts', () => {
    const manifest = parse({ anything: [1], subject: { digest: digest('5') } }, 'application/vnd.example+json')
    expect(manifest).toMatchObject({ kind: 'other', layers: [], subject: digest('5') })
  })

  test.each([
    ['CVE-2021-41190: layers and manifests', { ...image, manifests: [] }, /both "manifests"/],
    ['CVE-2021-41190: config and manifests', { ...index, config }, /both "manifests"/],
    ['fsLayers beside layers', { ...image, fsLayers: [] }, /fsLayers/],
    ['a field Go would read under another name', { ...index, Layers: [layer] }, /"Layers" could be read as "layers"/],
    ['schema 1', { schemaVersion: 1, fsLayers: [] }, /schema 1|neither/],
    ['schemaVersion 3', { ...image, schemaVersion: 3 }, /schemaVersion/],
    ['layers no list', { ...image, layers: {} }, /layers is not a list/],
    ['no config', { ...image, config: undefined }, /config is not a descriptor/],
    ['digest no string', { ...image, layers: [{ ...layer, digest: 7 }] }, /layers\[0\]\.digest/],
    [
      'digest of an unknown algorithm',
      { ...image, layers: [{ ...layer, digest: 'md5:abc' }] },
      /layers\[0\]\.digest: unsupported/
    ],
    ['negative size', { ...image, layers: [{ ...layer, size: -1 }] }, /layers\[0\]\.size/],
    ['size beyond 2^53', { ...image, layers: [{ ...layer, size: 1e300 }] }, /layers\[0\]\.size/],
    ['annotations no map', { ...image, annotations: { a: 1 } }, /annotations/],
    ['an image whose config is null', { ...image, config: null }, /config is not a descriptor/],
    ['an index beside a config', { ...index, layers: null, config }, /both "manifests"/],
    ['a value and the same field in another case', { ...image, LAYERS: null }, /"LAYERS" could be read as "layers"/],
    ['a subject of a digest that is none', { ...image, subject: entry('a/b', 'zz') }, /subject\.digest/],
    ['subject no descriptor', { ...image, subject: 'x' }, /subject is not/],
    ['a list', [], /not a JSON object/],
    ['null', null, /not a JSON object/]
  ])('refuses %s', (_, document, message) => expect(() => parse(document)).toThrow(refused(message)))

  test.each<[string, object, Partial<Manifest>]>([
    ['an empty mediaType, as kaniko pushed it', { ...image, mediaType: '' }, { mediaType: mediaTypes.ociManifest }],
    ['mediaType null', { ...image, mediaType: null }, { mediaType: mediaTypes.ociManifest }],
    ['manifests null beside layers', { ...image, manifests: null, fsLayers: null }, { kind: 'manifest' }],
    ['layers and config null beside manifests', { ...index, layers: null, config: null }, { kind: 'index' }],
    ['another case of a field, null', { ...image, Manifests: null, ArtifactType: '' }, { kind: 'manifest' }],
    ['subject null', { ...image, subject: null }, { kind: 'manifest' }],
    ['a subject that was never set', { ...image, subject: { mediaType: '', digest: '', size: 0 } }, {}],
    ['annotations null', { ...image, annotations: null }, {}],
    ['an annotation null', { ...image, annotations: { a: null, b: 'c' } }, { annotations: { b: 'c' } }],
    ['artifactType null', { ...image, artifactType: null }, {}],
    ['layers null', { ...image, layers: null }, { layers: [] }],
    ['no layers', { ...image, layers: undefined }, { layers: [] }],
    ['no manifests', { ...index, manifests: undefined }, { manifests: [], kind: 'index' }],
    ['an artifact without config and layers', { ...image, artifactType: 'x/y', config: null, layers: null }, {}],
    [
      'an artifact whose config was never set',
      { ...image, artifactType: 'x/y', config: { mediaType: '', digest: '', size: 0 } },
      {}
    ],
    ['a layer without a media type', { ...image, layers: [{ ...layer, mediaType: null }] }, { kind: 'manifest' }],
    ['platform and urls null', { ...index, manifests: [{ ...config, platform: null, urls: null }] }, { kind: 'index' }]
  ])('reads as absent: %s', (_, document, expected) => {
    const manifest = parse(document)
    expect(manifest).toMatchObject(expected)
    if (!('annotations' in expected)) expect(manifest).not.toHaveProperty('annotations')
    expect(manifest).not.toHaveProperty('subject')
    for (const entry of referencedDescriptors(manifest)) expect(entry).not.toHaveProperty('platform')
  })

  test('a subject may be known by a digest of any algorithm', () => {
    const subject = { mediaType: 'a/b', digest: 'blake3:0a', size: 1 }
    expect(parse({ ...image, subject }).subject).toBe('blake3:0a')
    expect(parse({ ...image, subject: { digest: subject.digest } }).subject).toBe('blake3:0a')
    expect(parse({ subject }, 'application/vnd.example+json').subject).toBe('blake3:0a')
    expect(() => parse({ ...image, subject: { ...subject, digest: 'blake3:' } })).toThrow(refused(/subject\.digest/))
    expect(() => parse({ ...image, subject: { ...subject, digest: 'sha256:0a' } })).toThrow(refused(/64 lower-case/))
    expect(() => parse({ ...image, subject: { ...subject, digest: `a:${'b'.repeat(199)}` } })).toThrow(
      refused(/subject/)
    )
  })

  test.each([
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    'application/vnd.docker.image.rootfs.foreign.diff.tar',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.zstd',
    'application/vnd.oci.image.layer.nondistributable.v1.tar',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd'
  ])('need not be here: %s', mediaType => {
    expect(parse({ ...image, layers: [{ ...layer, mediaType }] }).layers).toMatchObject([{ nondistributable: true }])
    expect(parse({ ...image, layers: [layer] }).layers).toMatchObject([{ nondistributable: false }])
  })

  test('CVE-2021-41190: Content-Type against mediaType', () => {
    expect(() => parse(image, mediaTypes.ociIndex)).toThrow(refused(/contradicts/))
    expect(() => parse(image, 'nonsense')).toThrow(refused(/not a media type/))
  })

  test('refuses bytes that are not UTF-8 or not JSON', () => {
    expect(() => parseManifest(Buffer.from([0xff, 0xfe]), '')).toThrow(refused(/UTF-8/))
    expect(() => parseManifest(Buffer.from('{'), '')).toThrow(refused(/JSON/))
    expect(() => parseManifest(Buffer.from(`\ufeff${JSON.stringify(image)}`), '')).toThrow(refused(/JSON/))
  })

  test('any JSON under any type is read or refused, never anything else', () => {
    const type = fc.constantFrom('', 'a/b', ...Object.values(mediaTypes))
    const shaped = fc.record(
      {
        schemaVersion: fc.constantFrom(1, 2, '2'),
        mediaType: fc.oneof(type, fc.json()),
        config: fc.oneof(fc.constant(config), fc.jsonValue()),
        layers: fc.oneof(fc.constant([layer]), fc.jsonValue()),
        manifests: fc.jsonValue(),
        subject: fc.jsonValue(),
        annotations: fc.jsonValue()
      },
      { requiredKeys: [] }
    )
    fc.assert(
      fc.property(fc.oneof(shaped, fc.jsonValue()), type, (document, contentType) => {
        try {
          parse(document, contentType)
        } catch (error) {
          expect(error).toBeInstanceOf(RegistryError)
          expect(error).toMatchObject({ reason: 'MANIFEST_INVALID' })
        }
      }),
      { numRuns: 500 }
    )
  })
})

test('artifactType of the referrers list: own, else the config type, none for an index', () => {
  expect(referrerArtifactType(parse({ ...image, artifactType: 'x/y' }))).toBe('x/y')
  expect(referrerArtifactType(parse({ ...image, artifactType: '' }))).toBe(config.mediaType)
  expect(referrerArtifactType(parse(index))).toBeUndefined()
})

test('each digest is referenced once', () => {
  expect(referencedDescriptors(parse({ ...image, layers: [layer, layer] })).map(entry => entry.digest)).toEqual([
    config.digest,
    layer.digest
  ])
})

test('names at most ten thousand digests, and says how many there were', () => {
  const naming = (count: number) =>
    parse(
      { list: Array.from({ length: count }, (_, at) => ({ digest: `sha256:${String(at).padStart(64, '0')}` })) },
      'a/b'
    )
  refuseManyNames(naming(maxNames))
  expect(() => refuseManyNames(naming(maxNames + 1))).toThrow(
    expect.objectContaining({
      reason: 'MANIFEST_INVALID',
      message: expect.stringMatching(/10001.*10000/),
      detail: { limit: 10_000, names: 10_001 }
    })
  )
})

describe('readManifest', () => {
  const stored = fc.record(
    {
      schemaVersion: fc.jsonValue(),
      mediaType: fc.oneof(fc.constantFrom(...Object.values(mediaTypes)), fc.jsonValue()),
      config: fc.oneof(fc.constant(config), fc.jsonValue()),
      layers: fc.oneof(fc.constant([layer, { ...layer, digest: 7 }]), fc.jsonValue()),
      blobs: fc.jsonValue(),
      manifests: fc.oneof(fc.constant(index.manifests), fc.jsonValue()),
      subject: fc.oneof(fc.constant(layer), fc.jsonValue()),
      annotations: fc.jsonValue()
    },
    { requiredKeys: [] }
  )
  const type = fc.constantFrom('', 'a/b', 'constructor', ...Object.values(mediaTypes))

  test('never throws, whatever is stored', () => {
    const bytes = fc.oneof(
      stored.map(document => Buffer.from(JSON.stringify(document))),
      fc.jsonValue().map(value => Buffer.from(JSON.stringify(value))),
      fc.uint8Array().map(array => Buffer.from(array))
    )
    fc.assert(
      fc.property(bytes, type, (some, mediaType) => {
        const manifest = readManifest(some, mediaType)
        const named = referencedDescriptors(manifest).map(entry => entry.digest)
        expect([...manifest.names]).toEqual(expect.arrayContaining(named))
      }),
      { numRuns: 500 }
    )
  })

  test('reads what a push was read as', () => {
    const pushed = [image, index, { ...image, subject: layer, annotations: { a: 'b' }, artifactType: 'x/y' }]
    const artifact = { mediaType: mediaTypes.ociArtifact, artifactType: 'x/y', blobs: [layer] }
    for (const document of [...pushed, artifact, { layers: [layer], subject: { digest: digest('5') } }]) {
      const mediaType = 'mediaType' in document ? document.mediaType : 'application/json'
      expect(read(document, mediaType)).toEqual(parse(document, mediaType))
    }
  })

  test('takes what is as expected and no more', () => {
    const manifest = read({ ...image, layers: [layer, 5, { ...layer, size: -1 }], config: 'x' }, 'a/b')
    expect(manifest).toMatchObject({ kind: 'manifest', layers: [{ digest: layer.digest }] })
    expect(manifest).not.toHaveProperty('config')
  })
})
