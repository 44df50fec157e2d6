import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
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

const hour = 3_600_000
let node: TemporaryRegistry

beforeEach(async () => {
  node = await openTemporaryRegistry({ graceMs: hour })
})
afterEach(() => node.close())

async function filesOnDisk(): Promise<number> {
  const names = await readdir(join(node.folder, 'blobs'), { recursive: true, withFileTypes: true })
  return names.filter(entry => entry.isFile()).length
}

describe('garbage collection', () => {
  test('frees what no manifest uses once the grace period is over, and nothing else', async () => {
    const { layers, config } = await pushImage(node.registry, 'a', 'x')
    const stray = randomBytes(3_000_000)
    await pushBlob(node.registry, 'a', stray)
    expect(await node.registry.collectGarbage()).toMatchObject({ links: 0, blobs: 0 })
    node.advance(2 * hour)
    expect(await node.registry.collectGarbage({ dryRun: true })).toMatchObject({
      dryRun: true,
      links: 1,
      blobs: 1,
      bytes: stray.length
    })
    expect(await filesOnDisk()).toBe(3)
    expect(await node.registry.collectGarbage()).toMatchObject({ links: 1, blobs: 1, bytes: stray.length })
    expect(await filesOnDisk()).toBe(2)
    for (const blob of [config, ...layers])
      expect((await pullBlob(node.registry, 'a', digestOf(blob))).equals(blob)).toBe(true)
    await expect(node.registry.openBlob('a', digestOf(stray))).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
  })

  test('a HEAD that said "here" renews the grace period', async () => {
    const digest = await pushBlob(node.registry, 'a', randomBytes(10))
    node.advance(0.9 * hour)
    await node.registry.statBlob('a', digest)
    node.advance(0.9 * hour)
    expect(await node.registry.collectGarbage()).toMatchObject({ links: 0 })
    node.advance(0.2 * hour)
    expect(await node.registry.collectGarbage()).toMatchObject({ links: 1, blobs: 1 })
  })

  test('a leaf that another blob shares stays readable by its CID', async () => {
    const shared = randomBytes(1024 * 1024)
    const one = Buffer.concat([shared, randomBytes(100)])
    const two = Buffer.concat([shared, randomBytes(100)])
    const keep = await pushBlob(node.registry, 'a', one)
    const drop = await pushBlob(node.registry, 'a', two)
    await putManifest(node.registry, 'a', imageManifest(one, []), 'x')
    node.advance(2 * hour)
    await node.registry.collectGarbage()
    const multihash = Buffer.concat([Buffer.from([0x12, 0x20]), Buffer.from(digestOf(shared).slice(7), 'hex')])
    const homes: string[] = []
    for await (const { home } of node.metadata.blockHomes(multihash)) homes.push(home)
    expect(homes).toEqual([`blob:${keep}`])
    expect(await node.metadata.blob(drop)).toBeUndefined()
  })

  test('a blob that another repository holds stays there', async () => {
    const bytes = randomBytes(1000)
    const digest = await pushBlob(node.registry, 'a', bytes)
    await pushBlob(node.registry, 'b', bytes)
    await putManifest(node.registry, 'b', imageManifest(bytes, []), 'x')
    node.advance(2 * hour)
    expect(await node.registry.collectGarbage()).toMatchObject({ links: 1, blobs: 0 })
    expect((await pullBlob(node.registry, 'b', digest)).equals(bytes)).toBe(true)
  })

  test('untagged manifests go only when asked, with children and blobs, and referrers of what stays do not', async () => {
    const old = await pushImage(node.registry, 'a', 'x')
    const current = await pushImage(node.registry, 'a', 'x')
    const child = await pushImage(node.registry, 'a', 'c')
    await node.registry.deleteTag('a', 'c')
    const index = indexManifest([child.manifest])
    await putManifest(node.registry, 'a', index, 'i')
    await node.registry.deleteTag('a', 'i')
    const config = Buffer.from('{}')
    await pushBlob(node.registry, 'a', config)
    const subject = {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: current.digest,
      size: current.manifest.length
    }
    const signature = await putManifest(node.registry, 'a', imageManifest(config, [], { subject }))
    node.advance(2 * hour)
    expect(await node.registry.collectGarbage()).toMatchObject({ manifests: 0, blobs: 0 })
    expect(await node.registry.collectGarbage({ untaggedMs: 0 })).toMatchObject({ manifests: 3, blobs: 4 })
    for (const digest of [old.digest, child.digest, digestOf(index)]) {
      await expect(node.registry.getManifest('a', { digest })).rejects.toMatchObject({ reason: 'MANIFEST_UNKNOWN' })
    }
    expect((await node.registry.getManifest('a', { digest: signature.digest })).digest).toBe(signature.digest)
  })

  test('two at once: the second is told', async () => {
    await pushImage(node.registry, 'a', 'x')
    const results = await Promise.allSettled([node.registry.collectGarbage(), node.registry.collectGarbage()])
    expect(results[1]).toMatchObject({ status: 'rejected', reason: { reason: 'UNAVAILABLE' } })
    expect(await node.registry.collectGarbage()).toBeDefined()
  })

  test('beside pushes, mounts and manifests never takes what an acknowledged manifest needs', {
    timeout: 60_000
  }, async () => {
    const stop = new AbortController()
    const collecting = (async () => {
      // No grace at all: every blob is garbage the moment it is pushed, until its manifest is there.
      while (!stop.signal.aborted) {
        node.advance(2 * hour)
        await node.registry.collectGarbage()
      }
    })()
    const shared = randomBytes(50_000)
    const push = async (index: number): Promise<{ repository: string; blobs: Buffer[] } | undefined> => {
      const repository = `r${index % 3}`
      const blobs = [Buffer.from(`{"n":${index}}`), shared, randomBytes(20_000)]
      for (const blob of blobs) {
        const digest = digestOf(blob)
        const mounted = await node.registry.mountBlob(repository, digest, undefined, () => true)
        if (mounted === undefined) await pushBlob(node.registry, repository, blob)
      }
      const [config = shared, ...layers] = blobs
      const put = await putManifest(node.registry, repository, imageManifest(config, layers), `t${index}`).catch(
        (error: unknown) => error
      )
      // GC without grace may win before the manifest; then the client is told, and nothing was promised.
      return put instanceof Error ? undefined : { repository, blobs }
    }
    const done = []
    for (let round = 0; round < 12; round++)
      done.push(...(await Promise.all([0, 1, 2, 3, 4].map(index => push(round * 5 + index)))))
    stop.abort()
    await collecting
    const kept = done.filter(image => image !== undefined)
    expect(kept.length).toBeGreaterThan(0)
    for (const { repository, blobs } of kept) {
      for (const blob of blobs)
        expect((await pullBlob(node.registry, repository, digestOf(blob))).equals(blob)).toBe(true)
    }
    const records: Digest[] = []
    for await (const { digest } of node.metadata.blobs()) records.push(digest)
    expect(await filesOnDisk()).toBe(records.length)
  })
})
