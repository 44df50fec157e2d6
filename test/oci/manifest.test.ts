import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RegistryError } from '../../src/errors.ts'
import { type Manifest, parseManifest, referencedDescriptors, referrerArtifactType } from '../../src/oci/manifest.ts'
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
    ['subject no descriptor', { ...image, subject: 'x' }, /subject is not/],
    ['a list', [], /not a JSON object/],
    ['null', null, /not a JSON object/]
  ])('refuses %s', (_, document, message) => expect(() => parse(document)).toThrow(refused(message)))

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
