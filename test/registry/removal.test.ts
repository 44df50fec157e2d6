import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RegistryErrors } from '../../src/errors.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
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

let node: TemporaryRegistry

beforeEach(async () => {
  node = await openTemporaryRegistry()
})
afterEach(() => node.close())

async function isHere(repository: string, digest: Digest): Promise<boolean> {
  return (await node.metadata.revision(repository, digest)) !== undefined
}

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function sign(repository: string, bytes: Buffer): Promise<Digest> {
  const config = Buffer.from('{}')
  await pushBlob(node.registry, repository, config)
  const subject = { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.length }
  const annotations = { for: subject.digest }
  return (await putManifest(node.registry, repository, imageManifest(config, [], { subject, annotations }))).digest
}

describe('removing a tag', () => {
  test('takes the manifest with the last one, and leaves it to the others', async () => {
    const { digest, manifest } = await pushImage(node.registry, 'a', 'v1')
    await putManifest(node.registry, 'a', manifest, 'v2')
    const plan = await node.registry.planTagRemoval('a', ['v1'])
    expect(plan).toEqual({
      tags: [{ tag: 'v1', digest, stays: { tag: 'v2' } }],
      manifests: [],
      count: 0,
      atLeast: false
    })
    expect(await node.registry.planTagRemoval('a', ['v1', 'v2', 'v3'])).toEqual({
      tags: [{ tag: 'v1', digest }, { tag: 'v2', digest }, { tag: 'v3' }],
      manifests: [{ digest, mediaType: mediaTypes.ociManifest, size: manifest.length }],
      count: 1,
      atLeast: false
    })
    expect(await node.registry.removeTag('a', 'v1')).toEqual({ digest, manifests: 0, stays: { tag: 'v2' } })
    expect(await isHere('a', digest)).toBe(true)
    expect(await node.registry.removeTag('a', 'v2')).toEqual({ digest, manifests: 1 })
    expect(await isHere('a', digest)).toBe(false)
  })

  test('takes children of an index that nothing else names, and referrers of what goes', async () => {
    const [one, two, three] = [
      await pushImage(node.registry, 'a', 'one'),
      await pushImage(node.registry, 'a', 'two'),
      await pushImage(node.registry, 'a', 'three')
    ]
    await node.registry.deleteTag('a', 'one')
    await node.registry.deleteTag('a', 'three')
    const index = indexManifest([one.manifest, two.manifest, three.manifest])
    const { digest } = await putManifest(node.registry, 'a', index, 'v1')
    // Another index, which stays, has the third.
    await putManifest(node.registry, 'a', indexManifest([three.manifest]), 'other')
    const [signature, childSignature, kept] = [
      await sign('a', index),
      await sign('a', one.manifest),
      await sign('a', two.manifest)
    ]
    const goes = [digest, one.digest, signature, childSignature].sort()
    const plan = await node.registry.planTagRemoval('a', ['v1'])
    expect(plan.manifests.map(manifest => manifest.digest).sort()).toEqual(goes)
    const told: Digest[] = []
    const removed = await node.registry.removeTag('a', 'v1', { onManifest: manifest => told.push(manifest.digest) })
    expect(removed).toEqual({ digest, manifests: 4 })
    expect(told.sort()).toEqual(goes)
    for (const gone of goes) expect(await isHere('a', gone)).toBe(false)
    for (const stays of [two.digest, three.digest, kept]) expect(await isHere('a', stays)).toBe(true)
  })

  test('leaves a child to its index, and a referrer to its subject, and says so', async () => {
    const child = await pushImage(node.registry, 'a', 'c')
    const index = await putManifest(node.registry, 'a', indexManifest([child.manifest]), 'i')
    expect(await node.registry.removeTag('a', 'c')).toMatchObject({ manifests: 0, stays: { index: index.digest } })
    const signature = await sign('a', child.manifest)
    const bytes = (await node.registry.getManifest('a', { digest: signature })).bytes
    await putManifest(node.registry, 'a', Buffer.from(bytes), 'sig')
    expect(await node.registry.removeTag('a', 'sig')).toMatchObject({ manifests: 0, stays: { subject: child.digest } })
    expect([await isHere('a', child.digest), await isHere('a', signature)]).toEqual([true, true])
  })

  test('names platforms as the index gives them', async () => {
    const child = await pushImage(node.registry, 'a', 'c')
    await node.registry.deleteTag('a', 'c')
    const platform = { os: 'linux', architecture: 'arm64' }
    const manifests = [
      { mediaType: mediaTypes.ociManifest, digest: child.digest, size: child.manifest.length, platform }
    ]
    await putManifest(node.registry, 'a', indexManifest([], { manifests }), 'i')
    const plan = await node.registry.planTagRemoval('a', ['i'])
    expect(plan.manifests.map(manifest => manifest.platform)).toEqual([undefined, platform])
  })

  test('that was moved since it was asked about is refused', async () => {
    const before = await pushImage(node.registry, 'a', 'v1')
    const after = await pushImage(node.registry, 'a', 'v1')
    await expect(node.registry.removeTag('a', 'v1', before)).rejects.toMatchObject({ reason: 'MANIFEST_CHANGED' })
    expect((await node.registry.getManifest('a', { tag: 'v1' })).digest).toBe(after.digest)
    await expect(node.registry.removeTag('a', 'v2')).rejects.toMatchObject({ reason: 'MANIFEST_UNKNOWN' })
    await expect(node.registry.removeTag('b', 'v1')).rejects.toMatchObject({ reason: 'NAME_UNKNOWN' })
  })

  test('by the API takes the tag alone; untagged lists what that leaves', async () => {
    const { digest, manifest, config, layers } = await pushImage(node.registry, 'a', 'v1')
    await pushImage(node.registry, 'b', 'v1')
    const signature = await sign('a', manifest)
    expect(await collected(node.registry.untagged())).toEqual([])
    await node.registry.deleteTag('a', 'v1')
    const size = [manifest, config, ...layers].reduce((sum, bytes) => sum + bytes.length, 0)
    const untagged = { repository: 'a', digest, mediaType: mediaTypes.ociManifest, size, used: expect.any(Number) }
    expect(await collected(node.registry.untagged())).toEqual([untagged])
    expect(await collected(node.registry.untagged({ repository: 'a' }))).toEqual([untagged])
    expect(await collected(node.registry.untagged({ repository: 'b' }))).toEqual([])
    expect(await isHere('a', signature)).toBe(true)
  })
})

describe('removing a repository', () => {
  test('takes all of it, whatever names what, and nothing of another one', async () => {
    const child = await pushImage(node.registry, 'a', 'c')
    await putManifest(node.registry, 'a', indexManifest([child.manifest]), 'i')
    await sign('a', child.manifest)
    await node.registry.deleteTag('a', 'c')
    await pushBlob(node.registry, 'a', randomBytes(100))
    const other = await pushImage(node.registry, 'a/b', 'v1')
    const bytes = await node.metadata.usage('a')
    expect(await node.registry.planRepositoryRemoval('a')).toEqual({ tags: 1, manifests: 3, bytes })
    expect(await node.registry.removeRepository('a')).toEqual({ tags: 1, manifests: 3, links: 4 })
    expect([await node.metadata.repositoryExists('a'), await node.metadata.usage('a')]).toEqual([false, 0])
    await expect(node.registry.removeRepository('a')).rejects.toMatchObject({ reason: 'NAME_UNKNOWN' })
    expect(await node.registry.collectGarbage()).toMatchObject({ blobs: 4 })
    expect((await node.registry.getManifest('a/b', { tag: 'v1' })).digest).toBe(other.digest)
    for (const blob of [other.config, ...other.layers])
      expect((await pullBlob(node.registry, 'a/b', digestOf(blob))).equals(blob)).toBe(true)
  })

  test('takes manifests that keep each other: an index of its own subject', async () => {
    const image = await pushImage(node.registry, 'a', 'v1')
    const subject = { mediaType: mediaTypes.ociManifest, digest: image.digest, size: image.manifest.length }
    await putManifest(node.registry, 'a', indexManifest([image.manifest], { subject }))
    expect(await node.registry.removeRepository('a')).toEqual({ tags: 1, manifests: 2, links: 2 })
    expect(await node.metadata.repositoryExists('a')).toBe(false)
  })

  test('of more tags than one commit takes, broken off, is gone on with by the next', async () => {
    const { digest } = await pushImage(node.registry, 'a', 'first')
    const at = 1
    for (let from = 0; from < 5000; from += 1000) {
      const tags = Array.from({ length: 1000 }, (_, index) => `t${from + index}`)
      await node.metadata.commit(
        tags.map(tag => ({ type: 'putTag' as const, repository: 'a', tag, record: { digest, at } })),
        [],
        { durable: false }
      )
    }
    const stop = new AbortController()
    const broken = node.registry.removeRepository('a', { signal: stop.signal, onProgress: () => stop.abort() })
    await expect(broken).rejects.toHaveProperty('name', 'AbortError')
    const left = (await node.registry.planRepositoryRemoval('a')).tags
    expect(left).toBe(5001 - 2000)
    expect(await node.registry.removeRepository('a')).toMatchObject({ tags: left, manifests: 1 })
    expect(await node.metadata.repositoryExists('a')).toBe(false)
  })

  test('leaves what is pushed meanwhile whole', async () => {
    const images = []
    for (let index = 0; index < 6; index++) images.push(await pushImage(node.registry, 'a', `old${index}`))
    const [first] = images
    if (first === undefined) throw new Error('six were pushed')
    let pushing: Promise<unknown> | undefined
    const onProgress = () => {
      // Its children are about to go, or are gone.
      pushing ??= putManifest(node.registry, 'a', indexManifest([first.manifest]), 'new').catch(
        (error: unknown) => error
      )
    }
    await node.registry.removeRepository('a', { onProgress })
    const pushed = await pushing
    if (pushed instanceof RegistryErrors) expect(pushed.errors[0].reason).toBe('MANIFEST_BLOB_UNKNOWN')
    else {
      expect(await isHere('a', first.digest)).toBe(true)
      for (const blob of [first.config, ...first.layers])
        expect((await pullBlob(node.registry, 'a', digestOf(blob))).equals(blob)).toBe(true)
    }
  })
})
