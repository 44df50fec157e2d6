import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { RegistryError } from '../../src/errors.ts'
import { UnixfsDagBuilder } from '../../src/ipfs/dag-builder.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { maxTagsAtOnce } from '../../src/registry/manifests/untag.ts'
import {
  imageManifest,
  indexManifest,
  openTemporaryRegistry,
  pushBlob,
  pushImage,
  putManifest,
  type TemporaryRegistry
} from './temporary-registry.ts'

let node: TemporaryRegistry

beforeEach(async () => {
  node = await openTemporaryRegistry()
})
afterEach(() => node.close())

async function reopenWith(init: Parameters<typeof openTemporaryRegistry>[0]): Promise<void> {
  await node.close()
  node = await openTemporaryRegistry(init)
}

describe('a manifest', () => {
  test('comes back byte for byte, by tag and by digest, also after a restart', async () => {
    const { manifest, digest } = await pushImage(node.registry, 'lib/app', 'v1')
    node = await node.reopen()
    for (const reference of [{ tag: 'v1' }, { digest }]) {
      const read = await node.registry.getManifest('lib/app', reference)
      expect(Buffer.from(read.bytes).equals(manifest)).toBe(true)
      expect(read).toMatchObject({ digest, mediaType: mediaTypes.ociManifest, size: manifest.length })
    }
  })

  test('names every blob that is missing', async () => {
    const config = Buffer.from('{}')
    const layers = [randomBytes(3), randomBytes(3)]
    await pushBlob(node.registry, 'a', layers[0] ?? config)
    await expect(putManifest(node.registry, 'a', imageManifest(config, layers), 'x')).rejects.toMatchObject({
      errors: [
        { code: 'MANIFEST_BLOB_UNKNOWN', detail: { digest: digestOf(config) } },
        { code: 'MANIFEST_BLOB_UNKNOWN', detail: { digest: digestOf(layers[1] ?? config) } }
      ]
    })
    await expect(node.registry.getManifest('a', { tag: 'x' })).rejects.toMatchObject({ reason: 'MANIFEST_UNKNOWN' })
  })

  test('CVE-2024-39897: a blob of another repository does not count', async () => {
    const config = Buffer.from('{"private":1}')
    await pushBlob(node.registry, 'private', config)
    await expect(putManifest(node.registry, 'mine', imageManifest(config, []), 'x')).rejects.toMatchObject({
      errors: [{ code: 'MANIFEST_BLOB_UNKNOWN' }]
    })
  })

  describe('CVE-2026-31801: a tag that somebody may set but not move', () => {
    const refusal = new RegistryError('DENIED', { message: 'no' })
    const fixed = { refuseMove: (tag: string) => (tag.startsWith('v') ? refusal : undefined) }
    const put = (bytes: Uint8Array, ...tags: string[]) =>
      node.registry.putManifest('a', { bytes, mediaType: '', tags, ...fixed })

    test('is made once, again with the same bytes, never with others', async () => {
      const one = await pushImage(node.registry, 'a', 'first')
      const two = await pushImage(node.registry, 'a', 'second')
      await put(one.manifest, 'v1', 'moves')
      await put(one.manifest, 'v1')
      await expect(put(two.manifest, 'moves', 'v1')).rejects.toBe(refusal)
      for (const tag of ['v1', 'moves']) expect((await node.registry.getManifest('a', { tag })).digest).toBe(one.digest)
      await put(two.manifest, 'moves')
    })

    test('goes to exactly one of many that race for it', async () => {
      const images = []
      for (let at = 0; at < 8; at++) images.push(await pushImage(node.registry, 'a', `image${at}`, [10]))
      const results = await Promise.allSettled(images.map(({ manifest }) => put(manifest, 'v1')))
      const winner = results.findIndex(({ status }) => status === 'fulfilled')
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      expect(results.filter(result => result.status === 'rejected' && result.reason === refusal)).toHaveLength(7)
      expect((await node.registry.getManifest('a', { tag: 'v1' })).digest).toBe(images[winner]?.digest)
    })

    test('keeps its manifest, and the other tags of it, from being deleted', async () => {
      const { digest, manifest } = await pushImage(node.registry, 'a', 'v1')
      await putManifest(node.registry, 'a', manifest, 'moves')
      await expect(node.registry.deleteManifest('a', digest, fixed)).rejects.toBe(refusal)
      for (const tag of ['v1', 'moves']) expect((await node.registry.getManifest('a', { tag })).digest).toBe(digest)
      await node.registry.deleteManifest('a', digest)
      await expect(node.registry.getManifest('a', { tag: 'v1' })).rejects.toMatchObject({ reason: 'MANIFEST_UNKNOWN' })
    })

    test('never points at nothing after it was set while its manifest was being deleted', async () => {
      for (let at = 0; at < 20; at++) {
        const { digest, manifest } = await pushImage(node.registry, 'a', 'moves', [10])
        const deletion = node.registry.deleteManifest('a', digest, fixed)
        const push = put(manifest, `v${at}`)
        await Promise.allSettled([deletion, push])
        await push
        expect(await node.registry.getManifest('a', { tag: `v${at}` })).toMatchObject({ digest })
      }
    })
  })

  test('If-None-Match: of many that race to create a tag, one does', async () => {
    const images = []
    for (let at = 0; at < 6; at++) images.push(await pushImage(node.registry, 'a', `image${at}`, [10]))
    const results = await Promise.allSettled(
      images.map(({ manifest: bytes }) =>
        node.registry.putManifest('a', { bytes, mediaType: '', tags: ['new'], ifNoneMatch: ['*'] })
      )
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ reason: 'MANIFEST_CHANGED' })
  })

  test('need not have its non-distributable layers', async () => {
    const config = Buffer.from('{}')
    await pushBlob(node.registry, 'a', config)
    const foreign = {
      mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
      digest: digestOf(randomBytes(4)),
      size: 4
    }
    const put = await putManifest(node.registry, 'a', imageManifest(config, [], { layers: [foreign] }), 'x')
    expect(put.image).toBeUndefined()
  })

  test('moves a tag, sets several, and is refused under a wrong digest', async () => {
    const one = await pushImage(node.registry, 'a', 'x')
    const two = await pushImage(node.registry, 'a', 'x')
    expect((await node.registry.getManifest('a', { tag: 'x' })).digest).toBe(two.digest)
    await putManifest(node.registry, 'a', one.manifest, 'p', 'q', 'x')
    for (const tag of ['p', 'q', 'x']) expect((await node.registry.getManifest('a', { tag })).digest).toBe(one.digest)
    await expect(
      node.registry.putManifest('a', { bytes: one.manifest, mediaType: '', digest: two.digest, tags: [] })
    ).rejects.toMatchObject({ reason: 'DIGEST_INVALID' })
  })

  test('under sha512', async () => {
    const { manifest } = await pushImage(node.registry, 'a', 'x')
    const digest = digestOf(manifest, 'sha512')
    await node.registry.putManifest('a', { bytes: manifest, mediaType: mediaTypes.ociManifest, digest, tags: ['s'] })
    expect((await node.registry.getManifest('a', { tag: 's' })).digest).toBe(digest)
  })

  test('If-Match: only the writer who knows the current digest wins', async () => {
    const one = await pushImage(node.registry, 'a', 'x')
    const others = await Promise.all([pushImage(node.registry, 'a', 'y'), pushImage(node.registry, 'a', 'z')])
    const results = await Promise.allSettled(
      others.map(other =>
        node.registry.putManifest('a', { bytes: other.manifest, mediaType: '', tags: ['x'], ifMatch: [one.digest] })
      )
    )
    expect(results.filter(result => result.status === 'fulfilled')).toHaveLength(1)
    expect(results.find(result => result.status === 'rejected')).toMatchObject({
      reason: { reason: 'MANIFEST_CHANGED', status: 412 }
    })
    await expect(
      node.registry.putManifest('a', { bytes: one.manifest, mediaType: '', tags: ['new'], ifMatch: ['*'] })
    ).rejects.toMatchObject({ reason: 'MANIFEST_CHANGED' })
  })

  test('If-Match: a deletion takes away what it names, never what was pushed meanwhile', async () => {
    const one = await pushImage(node.registry, 'a', 'x')
    const two = await pushImage(node.registry, 'a', 'y')
    const ifMatch = [one.digest]
    const { metadata } = node
    // Moved right behind the look that found it as it should be.
    const looked = vi.spyOn(metadata, 'tag').mockImplementationOnce(async (repository, tag) => {
      const found = await metadata.tag(repository, tag)
      await putManifest(node.registry, 'a', two.manifest, 'x')
      return found
    })
    await expect(node.registry.deleteTag('a', 'x', { ifMatch })).rejects.toMatchObject({ reason: 'MANIFEST_CHANGED' })
    looked.mockRestore()
    expect((await node.registry.getManifest('a', { tag: 'x' })).digest).toBe(two.digest)

    await expect(node.registry.deleteTag('a', 'none', { ifMatch: ['*'] })).rejects.toMatchObject({ status: 404 })
    await expect(node.registry.deleteManifest('a', two.digest, { ifMatch })).rejects.toMatchObject({ status: 412 })
    await expect(node.registry.deleteManifest('b', two.digest, { ifMatch })).rejects.toMatchObject({ status: 404 })
    await expect(node.registry.deleteTag('a', 'x', { ifMatch: [] })).rejects.toMatchObject({ status: 412 })
    await node.registry.deleteTag('a', 'x', { ifMatch: [one.digest, two.digest] })
    await node.registry.deleteManifest('a', one.digest, { ifMatch })
    await expect(node.registry.getManifest('a', { digest: one.digest })).rejects.toMatchObject({ status: 404 })
  })

  test('with thousands of tags goes in steps, or not at all', async () => {
    const { digest, manifest } = await pushImage(node.registry, 'a', 'v1', [10])
    const tags = Array.from({ length: 2.5 * maxTagsAtOnce }, (_, at) => `t${at}`)
    for (let at = 0; at < tags.length; at += 500)
      await node.registry.putManifest('a', { bytes: manifest, mediaType: '', tags: tags.slice(at, at + 500) })
    const { metadata } = node
    const sizes: number[] = []
    const commit = metadata.commit.bind(metadata)
    vi.spyOn(metadata, 'commit').mockImplementation((mutations, ...rest) => {
      sizes.push(mutations.length)
      return commit(mutations, ...rest)
    })
    const refusal = new RegistryError('DENIED')
    const refuseMove = (tag: string) => (tag === 'v1' ? refusal : undefined)
    await expect(node.registry.deleteManifest('a', digest, { refuseMove })).rejects.toBe(refusal)
    expect((await node.registry.listTags('a', { limit: 10_000 })).items).toHaveLength(tags.length + 1)
    await node.registry.deleteManifest('a', digest)
    expect(Math.max(...sizes)).toBeLessThan(maxTagsAtOnce + 20)
    await expect(node.registry.getManifest('a', { tag: 't0' })).rejects.toMatchObject({ status: 404 })
    await expect(node.registry.getManifest('a', { digest })).rejects.toMatchObject({ status: 404 })
  })

  test('deletes: a tag alone, a manifest with its tags', async () => {
    const { digest } = await pushImage(node.registry, 'a', 'x')
    await node.registry.putManifest('a', {
      bytes: (await node.registry.getManifest('a', { digest })).bytes,
      mediaType: '',
      tags: ['y']
    })
    await node.registry.deleteTag('a', 'x')
    await expect(node.registry.deleteTag('a', 'x')).rejects.toMatchObject({ reason: 'MANIFEST_UNKNOWN' })
    expect((await node.registry.getManifest('a', { tag: 'y' })).digest).toBe(digest)
    await node.registry.deleteManifest('a', digest)
    await expect(node.registry.getManifest('a', { tag: 'y' })).rejects.toMatchObject({ status: 404 })
    await expect(node.registry.deleteManifest('a', digest)).rejects.toMatchObject({ status: 404 })
    expect((await node.registry.listTags('a', { limit: 10 })).items).toEqual([])
  })
})

describe('an image CID', () => {
  test('is the same wherever and under whatever type the image was pushed', async () => {
    const { config, layers, manifest, image } = await pushImage(node.registry, 'a', 'x', [10, 2_000_000])
    expect(image).toBeDefined()
    for (const blob of [config, ...layers]) await pushBlob(node.registry, 'b', blob)
    const again = await node.registry.putManifest('b', { bytes: manifest, mediaType: mediaTypes.ociManifest, tags: [] })
    expect(again.image?.toString()).toBe(image?.toString())
  })

  test('exists only while the image is whole in some repository', async () => {
    const { config, layers, manifest, digest } = await pushImage(node.registry, 'a', 'x')
    for (const blob of [config, ...layers]) await pushBlob(node.registry, 'b', blob)
    await putManifest(node.registry, 'b', manifest)
    const imageOf = async (repository: string) => (await node.registry.getManifest(repository, { digest })).image
    await node.registry.deleteBlob('a', digestOf(config))
    expect(await imageOf('a')).toBeDefined()
    await node.registry.deleteBlob('b', digestOf(config))
    expect(await imageOf('a')).toBeUndefined()
    await pushBlob(node.registry, 'a', config)
    expect(await imageOf('a')).toBeDefined()
  })

  test('of an index needs its children; with sparse indexes it appears when the last one comes', async () => {
    await reopenWith({ sparse: 'indexes' })
    const one = await pushImage(node.registry, 'a', 'one')
    const config = Buffer.from('{"late":true}')
    const late = imageManifest(config, [])
    const index = indexManifest([one.manifest, late])
    const nested = indexManifest([index])
    expect((await putManifest(node.registry, 'a', index, 'multi')).image).toBeUndefined()
    expect((await putManifest(node.registry, 'a', nested, 'nested')).image).toBeUndefined()
    await pushBlob(node.registry, 'a', config)
    await putManifest(node.registry, 'a', late)
    for (const tag of ['multi', 'nested']) expect((await node.registry.getManifest('a', { tag })).image).toBeDefined()
    await node.registry.deleteManifest('a', digestOf(late))
    for (const tag of ['multi', 'nested']) expect((await node.registry.getManifest('a', { tag })).image).toBeUndefined()
  })

  test('sparse all: blobs may come last, too', async () => {
    await reopenWith({ sparse: 'all' })
    const config = Buffer.from('{"x":2}')
    await putManifest(node.registry, 'a', imageManifest(config, []), 'x')
    await pushBlob(node.registry, 'a', config)
    expect((await node.registry.getManifest('a', { tag: 'x' })).image).toBeDefined()
  })

  test('an index without its children is refused by default, with listed platforms only those count', async () => {
    const absent = imageManifest(Buffer.from('1'), [])
    await expect(putManifest(node.registry, 'a', indexManifest([absent]))).rejects.toMatchObject({
      errors: [{ code: 'MANIFEST_BLOB_UNKNOWN' }]
    })
    await reopenWith({ platforms: [{ os: 'linux', architecture: 'amd64' }] })
    const child = (architecture: string) => ({
      mediaType: mediaTypes.ociManifest,
      digest: digestOf(absent),
      size: 5,
      platform: { os: 'linux', architecture }
    })
    await putManifest(node.registry, 'a', indexManifest([], { manifests: [child('s390x')] }))
    await expect(
      putManifest(node.registry, 'a', indexManifest([], { manifests: [child('amd64')] }))
    ).rejects.toMatchObject({
      errors: [{ code: 'MANIFEST_BLOB_UNKNOWN' }]
    })
  })
})

describe('lists', () => {
  test('tags in byte order, page by page', async () => {
    const { manifest } = await pushImage(node.registry, 'a', 'seed')
    const tags = ['Z', '_', 'a', 'a-b', 'a.b', 'b', '0', '10', '9']
    await putManifest(node.registry, 'a', manifest, ...tags)
    const sorted = [...tags, 'seed'].sort()
    const seen: string[] = []
    let after: string | undefined
    do {
      const page = await node.registry.listTags('a', { limit: 3, ...(after === undefined ? {} : { after }) })
      expect(page.items.length).toBeLessThanOrEqual(3)
      seen.push(...page.items)
      after = page.next
    } while (after !== undefined)
    expect(seen).toEqual(sorted)
    expect(await node.registry.listTags('a', { limit: 0 })).toEqual({ items: [] })
    await expect(node.registry.listTags('nobody', { limit: 1 })).rejects.toMatchObject({ reason: 'NAME_UNKNOWN' })
  })

  test('repositories: only those the asker may see fill a page', async () => {
    for (const name of ['a', 'a-b', 'a/b', 'b', 'hidden/x']) await pushImage(node.registry, name, 'x')
    const visible = (name: string) => !name.startsWith('hidden')
    expect((await node.registry.listRepositories({ limit: 10 }, visible)).items).toEqual(['a', 'a-b', 'a/b', 'b'])
    expect(await node.registry.listRepositories({ limit: 2, after: 'a' }, visible)).toEqual({
      items: ['a-b', 'a/b'],
      next: 'a/b'
    })
    expect(await node.registry.listRepositories({ limit: 1, after: 'a/b' }, visible)).toEqual({ items: ['b'] })
  })

  test('referrers: also of a subject that is not here, filtered, paged, gone with their manifest', async () => {
    const subject = { mediaType: mediaTypes.ociManifest, digest: digestOf(Buffer.from('absent')), size: 6 }
    const config = Buffer.from('{}')
    await pushBlob(node.registry, 'a', config)
    const referrer = (artifactType: string, note: string) =>
      imageManifest(config, [], { artifactType, subject, annotations: { note } })
    const manifests = ['1', '2', '3'].map(note => referrer(note === '3' ? 'sbom/x' : 'sig/x', note))
    for (const manifest of manifests) {
      expect(await putManifest(node.registry, 'a', manifest)).toMatchObject({ subject: subject.digest })
    }
    const all = await node.registry.listReferrers('a', subject.digest, { limit: 10 })
    expect(all.items.map(entry => entry.digest).sort()).toEqual(manifests.map(bytes => digestOf(bytes)).sort())
    expect(all.items.find(entry => entry.artifactType === 'sbom/x')).toMatchObject({
      annotations: { note: '3' },
      mediaType: mediaTypes.ociManifest
    })
    expect(
      (await node.registry.listReferrers('a', subject.digest, { limit: 10, artifactType: 'sig/x' })).items
    ).toHaveLength(2)
    const first = await node.registry.listReferrers('a', subject.digest, { limit: 2 })
    const rest = await node.registry.listReferrers('a', subject.digest, { limit: 2, after: first.next ?? '' })
    expect([...first.items, ...rest.items]).toEqual(all.items)
    expect((await node.registry.listReferrers('nobody', subject.digest, { limit: 10 })).items).toEqual([])
    for (const manifest of manifests) await node.registry.deleteManifest('a', digestOf(manifest))
    expect((await node.registry.listReferrers('a', subject.digest, { limit: 10 })).items).toEqual([])
  })
})

test('inspect names the CID of everything', async () => {
  const { digest, image, layers } = await pushImage(node.registry, 'a', 'x', [1_500_000])
  const seen = await node.registry.inspect('a', { tag: 'x' })
  expect(seen).toMatchObject({
    repository: 'a',
    tag: 'x',
    digest,
    imageCid: image?.toString(),
    config: { content: { os: 'linux' } }
  })
  expect(seen.layers).toMatchObject([
    { digest: digestOf(layers[0] ?? Buffer.alloc(0)), cid: expect.stringMatching(/^bafybei/) }
  ])
})

test('an image whose names cannot all be in one sharded directory is stored without an image CID', async () => {
  const dags = new UnixfsDagBuilder()
  const refuses = {
    file: dags.file,
    links: dags.links,
    image: () => Promise.reject(new RegistryError('MANIFEST_INVALID'))
  }
  await node.close()
  node = await openTemporaryRegistry({}, undefined, 0, { dags: refuses })
  const { digest, image } = await pushImage(node.registry, 'a', 'x')
  expect(image).toBeUndefined()
  expect((await node.registry.getManifest('a', { tag: 'x' })).digest).toBe(digest)
})

test('whoever waits for a CID is told when it is there', async () => {
  const told: string[] = []
  await node.close()
  node = await openTemporaryRegistry({}, undefined, 0, { stored: root => told.push(root.toString()) })
  const { image } = await pushImage(node.registry, 'a', 'x')
  expect(told).toHaveLength(3)
  expect(told.at(-1)).toBe(image?.toString())
})
