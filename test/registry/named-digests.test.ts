/** A manifest of any type keeps what it names: garbage collection, deletion, image CIDs, and data of an earlier version. */
import { join } from 'node:path'
import { Level } from 'level'
import { afterEach, describe, expect, it } from 'vitest'
import { RegistryError } from '../../src/errors.ts'
import { keys } from '../../src/metadata/keys.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import type { MetadataStore } from '../../src/registry/ports.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { collect } from '../contract/metadata-store.ts'
import {
  imageManifest,
  indexManifest,
  openTemporaryRegistry,
  pullBlob,
  pushBlob,
  pushImage,
  putManifest,
  type TemporaryRegistry
} from './temporary-registry.ts'

const open: TemporaryRegistry[] = []
async function start(): Promise<TemporaryRegistry> {
  const node = await openTemporaryRegistry({ graceMs: 0 })
  open.push(node)
  return node
}
afterEach(async () => {
  for (const node of open.splice(0)) await node.close()
})

const oras = 'application/vnd.cncf.oras.artifact.manifest.v1+json'

const putAs = (registry: Registry, repository: string, mediaType: string, content: object, ...tags: string[]) =>
  registry.putManifest(repository, { bytes: Buffer.from(JSON.stringify(content)), mediaType, tags })

const descriptorOf = (bytes: Uint8Array) => ({ mediaType: 'a/b', digest: digestOf(bytes), size: bytes.length })

/** After the grace, which is nothing: a millisecond later. */
async function collectAll(node: TemporaryRegistry) {
  node.advance(1)
  return node.registry.collectGarbage()
}

describe('garbage collection leaves what a manifest of an unknown type names', () => {
  it.each([
    ['application/json', (blob: Uint8Array) => ({ deep: [{ er: { digest: digestOf(blob) } }] })],
    [oras, (blob: Uint8Array) => ({ mediaType: oras, artifactType: 'x/y', blobs: [descriptorOf(blob)] })]
  ])('%s', async (mediaType, naming) => {
    const node = await start()
    const blob = Buffer.from('named by an unknown type')
    const digest = await pushBlob(node.registry, 'a', blob)
    await pushBlob(node.registry, 'a', Buffer.from('named by none'))
    await pushBlob(node.registry, 'b', blob)
    const { digest: manifest } = await putAs(node.registry, 'a', mediaType, naming(blob), 'v1')
    expect(await collectAll(node)).toMatchObject({ links: 2, blobs: 1 })
    expect(await pullBlob(node.registry, 'a', digest)).toEqual(blob)
    await expect(node.registry.statBlob('b', digest)).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
    // And no longer than it names them.
    await node.registry.deleteManifest('a', manifest)
    expect(await collectAll(node)).toMatchObject({ links: 1, blobs: 1 })
  })

  it('what a known type names beside what it demands', async () => {
    const node = await start()
    const beside = Buffer.from('not demanded')
    const config = Buffer.from('{}')
    for (const blob of [beside, config]) await pushBlob(node.registry, 'a', blob)
    const missing = digestOf(Buffer.from('never pushed'))
    const more = { 'com.example': { see: [descriptorOf(beside), { digest: missing }] } }
    const put = await putManifest(node.registry, 'a', imageManifest(config, [], more), 'v1')
    // What is not demanded does not make an image incomplete.
    expect(String(put.image)).toMatch(/^bafybei/)
    expect(await collectAll(node)).toMatchObject({ links: 0, blobs: 0 })
    expect(await pullBlob(node.registry, 'a', digestOf(beside))).toEqual(beside)
  })

  it('a manifest, and what it needs, though untagged ones go', async () => {
    const node = await start()
    const image = await pushImage(node.registry, 'a', 'v1')
    const list = { items: [{ digest: image.digest }] }
    const { digest } = await putAs(node.registry, 'a', 'application/json', list, 'list')
    await node.registry.deleteTag('a', 'v1')
    node.advance(1)
    expect(await node.registry.collectGarbage({ untaggedMs: 0 })).toMatchObject({ manifests: 0, blobs: 0 })
    await node.registry.deleteManifest('a', digest)
    node.advance(1)
    expect(await node.registry.collectGarbage({ untaggedMs: 0 })).toMatchObject({ manifests: 1, blobs: 2 })
  })

  it('not what only its subject holds', async () => {
    const node = await start()
    const blob = Buffer.from('in the subject')
    const digest = await pushBlob(node.registry, 'a', blob)
    const subject = { ...descriptorOf(blob), more: { digest } }
    await putAs(node.registry, 'a', 'application/json', { subject }, 'v1')
    expect(await collectAll(node)).toMatchObject({ links: 1, blobs: 1 })
  })
})

it('deleting a manifest takes the references that it put, and no other’s', async () => {
  const { registry, metadata } = await start()
  const shared = await pushBlob(registry, 'a', Buffer.from('shared'))
  const first = await putAs(registry, 'a', 'application/json', { a: { digest: shared } }, 'first')
  const second = await putAs(registry, 'a', 'application/json', { b: { digest: shared } }, 'second')
  expect(await collect(metadata.parents('a', shared))).toEqual([first.digest, second.digest].sort())
  await registry.deleteManifest('a', first.digest)
  expect(await collect(metadata.parents('a', shared))).toEqual([second.digest])
})

it('an image has the CID it has, whatever else its manifests name', async () => {
  const { registry } = await start()
  const { manifest, image, config, layers } = await pushImage(registry, 'a', 'v1')
  const list = await putManifest(registry, 'a', indexManifest([manifest]), 'list')
  for (const blob of [config, ...layers]) await pushBlob(registry, 'b', blob)
  await putAs(registry, 'b', 'application/json', { of: [descriptorOf(manifest), { digest: list.digest }] }, 'first')
  expect((await putManifest(registry, 'b', manifest, 'v1')).image).toEqual(image)
  expect((await putManifest(registry, 'b', indexManifest([manifest]), 'list')).image).toEqual(list.image)
  // A type that is not known is no image, though all it names is here.
  expect((await putAs(registry, 'b', 'application/json', { of: descriptorOf(manifest) }, 'x')).image).toBeUndefined()
})

it('a manifest that names more than ten thousand digests is refused', async () => {
  const { registry } = await start()
  const list = Array.from({ length: 10_001 }, (_, at) => ({ digest: `sha256:${String(at).padStart(64, '0')}` }))
  await expect(putAs(registry, 'a', 'application/json', { list }, 'v1')).rejects.toMatchObject({
    reason: 'MANIFEST_INVALID',
    message: expect.stringMatching(/10001 .* 10000/)
  })
  const { digest } = await putAs(registry, 'a', 'application/json', { list: list.slice(1) }, 'v1')
  await registry.deleteManifest('a', digest)
})

describe('data of schema 2', () => {
  /** Takes from the folder what version 0.1.0 did not write: references, and referrers, of manifests whose type it did not know. */
  async function asSchemaTwo(folder: string, unknown: readonly Digest[]): Promise<void> {
    const level = new Level(join(folder, 'metadata'))
    for await (const key of level.keys()) {
      const [family, , , parent] = key.split('\0')
      if ((family === 'refs' || family === 'referrers') && unknown.some(digest => digest === parent))
        await level.del(key)
    }
    await level.put(keys.schema, '2')
    await level.close()
  }

  async function reopenAsSchemaTwo(node: TemporaryRegistry, unknown: readonly Digest[]): Promise<TemporaryRegistry> {
    open.splice(open.indexOf(node), 1)
    const { folder } = node
    await node.shut()
    await asSchemaTwo(folder, unknown)
    const again = await openTemporaryRegistry({ graceMs: 0 }, folder, 60_000)
    open.push(again)
    return again
  }

  const parents = (metadata: MetadataStore, digest: Digest) => collect(metadata.parents('a', digest))

  it('gets the references of what is stored before anything is collected', async () => {
    const node = await start()
    const { registry } = node
    const blob = Buffer.from('named by an unknown type')
    const digest = await pushBlob(registry, 'a', blob)
    await pushBlob(registry, 'a', Buffer.from('named by none'))
    const subject = { mediaType: 'a/b', digest: 'blake3:0a', size: 1 }
    const put = await putAs(registry, 'a', 'application/json', { a: { digest }, subject }, 'v1')
    const image = await pushImage(registry, 'z', 'v1')
    const again = await reopenAsSchemaTwo(node, [put.digest])
    expect(await parents(again.metadata, digest)).toEqual([])
    expect(await again.metadata.referenceUpgrade()).toEqual({})
    expect(await again.registry.collectGarbage()).toMatchObject({ links: 1, blobs: 1 })
    expect(await again.metadata.referenceUpgrade()).toBeUndefined()
    expect(await parents(again.metadata, digest)).toEqual([put.digest])
    expect(await pullBlob(again.registry, 'a', digest)).toEqual(blob)
    expect((await again.registry.listReferrers('a', 'blake3:0a', { limit: 9 })).items).toEqual([
      { mediaType: 'application/json', digest: put.digest, size: put.size }
    ])
    expect(String((await again.registry.getManifest('z', { tag: 'v1' })).image)).toBe(String(image.image))
    // And leaves nothing behind when the manifest goes.
    await again.registry.deleteManifest('a', put.digest)
    expect(await parents(again.metadata, digest)).toEqual([])
    expect((await again.registry.listReferrers('a', 'blake3:0a', { limit: 9 })).items).toEqual([])
  })

  it('goes on behind the manifest that it had come to', async () => {
    const node = await start()
    const blobs: Digest[] = []
    const manifests: Digest[] = []
    for (let at = 0; at < 4; at++) {
      blobs.push(await pushBlob(node.registry, 'a', Buffer.from(`blob ${at}`)))
      manifests.push((await putAs(node.registry, 'a', 'application/json', { a: { digest: blobs[at] } })).digest)
    }
    const again = await reopenAsSchemaTwo(node, manifests)
    const [first = '', second = ''] = [...manifests].sort()
    const after = { repository: 'a', digest: second as Digest }
    await again.metadata.commit([{ type: 'putReferenceUpgrade', record: { after } }])
    await again.registry.collectGarbage({ dryRun: true })
    for (const [at, blob] of blobs.entries()) {
      const manifest = manifests[at] ?? ''
      expect(await parents(again.metadata, blob)).toEqual(manifest === first || manifest === second ? [] : [manifest])
    }
  })

  it('is not collected while its manifests cannot be read, and is afterwards', async () => {
    const node = await start()
    const blob = await pushBlob(node.registry, 'a', Buffer.from('named by an unknown type'))
    const put = await putAs(node.registry, 'a', 'application/json', { a: { digest: blob } })
    const again = await reopenAsSchemaTwo(node, [put.digest])
    const { metadata } = again
    const manifestBytes = metadata.manifestBytes.bind(metadata)
    metadata.manifestBytes = async () => {
      throw new Error('the disk is away')
    }
    await expect(again.registry.collectGarbage()).rejects.toThrow('the disk is away')
    metadata.manifestBytes = manifestBytes
    expect(await again.registry.collectGarbage()).toMatchObject({ links: 0, blobs: 0 })
  })

  it('takes pushes and deletions meanwhile', async () => {
    const node = await start()
    const blob = await pushBlob(node.registry, 'a', Buffer.from('named by an unknown type'))
    const content = { a: { digest: blob } }
    const kept = await putAs(node.registry, 'a', 'application/json', content, 'kept')
    const gone = await putAs(node.registry, 'a', 'application/json', { ...content, b: 1 }, 'gone')
    const again = await reopenAsSchemaTwo(node, [kept.digest, gone.digest])
    const { metadata, registry } = again
    const manifestBytes = metadata.manifestBytes.bind(metadata)
    // It goes just when it was read, before its references are written.
    metadata.manifestBytes = async (digest, options) => {
      const bytes = await manifestBytes(digest, options)
      metadata.manifestBytes = manifestBytes
      await registry.deleteManifest('a', digest)
      return bytes
    }
    await registry.collectGarbage()
    const left = await registry.listTags('a', { limit: 9 })
    expect(left.items).toHaveLength(1)
    const rest = left.items[0] === 'kept' ? kept.digest : gone.digest
    expect(await parents(metadata, blob)).toEqual([rest])
  })

  it('keeps what an immutable tag may need: its deletion is tried again later', async () => {
    const node = await start()
    const blob = await pushBlob(node.registry, 'a', Buffer.from('named by an unknown type'))
    const put = await putAs(node.registry, 'a', 'application/json', { a: { digest: blob } }, 'v1')
    const again = await reopenAsSchemaTwo(node, [put.digest])
    const refusal = new RegistryError('DENIED')
    const remove = () =>
      again.registry.deleteBlob('a', blob, { refuseBelow: tag => (tag === 'v1' ? refusal : undefined) })
    await expect(remove()).rejects.toMatchObject({ reason: 'UNAVAILABLE', headers: { 'Retry-After': '60' } })
    const unreferenced = { type: 'unreferenced', repository: 'a', digest: blob } as const
    const link = { type: 'deleteLink', repository: 'a', digest: blob } as const
    await expect(again.metadata.commit([link], [unreferenced])).rejects.toThrow('unreferenced')
    await again.registry.collectGarbage()
    await expect(remove()).rejects.toBe(refusal)
  })
})
