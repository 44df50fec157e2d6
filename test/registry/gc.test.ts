import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { RegistryErrors } from '../../src/errors.ts'
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

  test('an untagged manifest that is pushed again while it is about to go stays', async () => {
    const { digest, manifest } = await pushImage(node.registry, 'a', 'x')
    await node.registry.deleteTag('a', 'x')
    node.advance(2 * hour)
    const { metadata, registry } = node
    const commit = metadata.commit.bind(metadata)
    const committing = vi.spyOn(metadata, 'commit').mockImplementation(async (mutations, ...rest) => {
      if (mutations.some(({ type }) => type === 'deleteRevision')) {
        committing.mockRestore()
        await putManifest(registry, 'a', manifest)
      }
      return commit(mutations, ...rest)
    })
    expect(await registry.collectGarbage({ untaggedMs: 0 })).toMatchObject({ manifests: 0, blobs: 0 })
    expect((await registry.getManifest('a', { digest })).bytes).toEqual(manifest)
  })

  test('a HEAD that said "here" is heeded by a run with a shorter grace', async () => {
    const digest = await pushBlob(node.registry, 'a', randomBytes(10))
    node.advance(0.2 * hour)
    await node.registry.statBlob('a', digest)
    node.advance(0.1 * hour)
    expect(await node.registry.collectGarbage({ graceMs: 0 })).toMatchObject({ graceMs: 0.25 * hour, links: 0 })
    node.advance(0.2 * hour)
    expect(await node.registry.collectGarbage({ graceMs: 0 })).toMatchObject({ links: 1, blobs: 1 })
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

  test('what is spared is told by reason, and is what goes once there is none', async () => {
    const kept = await pushImage(node.registry, 'a', 'x', [5_000])
    const untagged = await pushImage(node.registry, 'a', 'x', [7_000])
    await pushImage(node.registry, 'a', 'x', [9_000])
    node.advance(2 * hour)
    const recent = randomBytes(300)
    await pushBlob(node.registry, 'b', recent)
    const size = ({ config, layers }: typeof kept) => [config, ...layers].reduce((sum, bytes) => sum + bytes.length, 0)
    const bytes = size(kept) + size(untagged)
    expect(await node.registry.collectGarbage()).toMatchObject({
      blobs: 0,
      spared: {
        recent: { manifests: 0, blobs: 1, bytes: recent.length },
        untagged: { manifests: 2, blobs: 4, bytes }
      },
      untaggedMs: null,
      graceMs: hour,
      atLeast: false
    })
    const nothing = { manifests: 0, blobs: 0, bytes: 0 }
    expect(await node.registry.collectGarbage({ untaggedMs: 0, graceMs: 0, force: true })).toMatchObject({
      manifests: 2,
      blobs: 5,
      bytes: bytes + recent.length,
      spared: { recent: nothing, untagged: nothing }
    })
  })

  test('children and layers of an untagged index are spared with it, and gone with it', async () => {
    const child = await pushImage(node.registry, 'a', 'c')
    await putManifest(node.registry, 'a', indexManifest([child.manifest]), 'i')
    for (const tag of ['c', 'i']) await node.registry.deleteTag('a', tag)
    node.advance(2 * hour)
    const spared = { untagged: { manifests: 1, blobs: 2 } }
    expect(await node.registry.collectGarbage()).toMatchObject({ manifests: 0, blobs: 0, spared })
    expect(await node.registry.collectGarbage({ untaggedMs: 0, dryRun: true })).toMatchObject({
      manifests: 2,
      blobs: 2
    })
    expect(await node.registry.collectGarbage({ untaggedMs: 0 })).toMatchObject({ manifests: 2, blobs: 2 })
  })

  test('the age of an untagged manifest counts from its last tag and the last pull by digest, not from its push', async () => {
    const untaggedMs = 72 * hour
    const { digest } = await pushImage(node.registry, 'a', 'x')
    const collect = async () => (await node.registry.collectGarbage({ untaggedMs })).manifests
    node.advance(1000 * hour)
    await node.registry.deleteTag('a', 'x')
    expect(await collect()).toBe(0)
    node.advance(71 * hour)
    expect(await collect()).toBe(0)
    await node.registry.getManifest('a', { digest })
    node.advance(71 * hour)
    expect(await collect()).toBe(0)
    // An operator's look is no use.
    await node.registry.inspect('a', { digest })
    node.advance(2 * hour)
    expect(await collect()).toBe(1)
  })

  test('a tag that moves on ends the use of what it named', async () => {
    const old = await pushImage(node.registry, 'a', 'x')
    node.advance(1000 * hour)
    await pushImage(node.registry, 'a', 'x')
    expect(await node.registry.collectGarbage({ untaggedMs: 72 * hour })).toMatchObject({ manifests: 0 })
    node.advance(73 * hour)
    expect(await node.registry.collectGarbage({ untaggedMs: 72 * hour })).toMatchObject({ manifests: 1 })
    await expect(node.registry.getManifest('a', old)).rejects.toMatchObject({ reason: 'MANIFEST_UNKNOWN' })
  })

  test('children and referrers of an index deleted by digest count as used until then', async () => {
    const child = await pushImage(node.registry, 'a', 'c')
    const index = await putManifest(node.registry, 'a', indexManifest([child.manifest]), 'i')
    await node.registry.deleteTag('a', 'c')
    const subject = { mediaType: 'application/vnd.oci.image.index.v1+json', digest: index.digest, size: index.size }
    const [config = Buffer.alloc(0)] = [child.config]
    await putManifest(node.registry, 'a', imageManifest(config, [], { subject }))
    node.advance(1000 * hour)
    await node.registry.deleteManifest('a', index.digest)
    expect(await node.registry.collectGarbage({ untaggedMs: 72 * hour })).toMatchObject({ manifests: 0 })
    node.advance(73 * hour)
    expect(await node.registry.collectGarbage({ untaggedMs: 72 * hour })).toMatchObject({ manifests: 2 })
  })

  test('a record of before there was a last use begins its time at the first run that finds it untagged', async () => {
    const { digest } = await pushImage(node.registry, 'a', 'x')
    await node.registry.deleteTag('a', 'x')
    const record = await node.metadata.revision('a', digest)
    if (record === undefined) throw new Error('it was pushed')
    const { used: _, ...old } = record
    await node.metadata.commit([{ type: 'putRevision', repository: 'a', digest, record: old }])
    node.advance(1000 * hour)
    const collect = (dryRun: boolean) => node.registry.collectGarbage({ untaggedMs: 72 * hour, dryRun })
    expect(await collect(true)).toMatchObject({ manifests: 0, spared: { untagged: { manifests: 1 } } })
    expect((await node.metadata.revision('a', digest))?.used).toBeUndefined()
    expect(await collect(false)).toMatchObject({ manifests: 0, spared: { untagged: { manifests: 1 } } })
    node.advance(71 * hour)
    expect(await collect(false)).toMatchObject({ manifests: 0 })
    node.advance(2 * hour)
    expect(await collect(false)).toMatchObject({ manifests: 1 })
  })

  test('a pull by digest is noted once a day', async () => {
    const { digest } = await pushImage(node.registry, 'a', 'x')
    const pull = async () => {
      await node.registry.getManifest('a', { digest })
      return (await node.metadata.revision('a', digest))?.used
    }
    const pushed = await pull()
    node.advance(23 * hour)
    expect(await pull()).toBe(pushed)
    node.advance(2 * hour)
    const noted = await pull()
    expect(noted).toBeGreaterThan((pushed ?? 0) + 24 * hour)
    node.advance(23 * hour)
    expect(await pull()).toBe(noted)
  })

  test('a grace for one run spares what a push sent in the last 15 minutes, unless forced', async () => {
    await pushBlob(node.registry, 'a', randomBytes(10))
    node.advance(14 * 60_000)
    expect(await node.registry.collectGarbage({ graceMs: 0 })).toMatchObject({ graceMs: 900_000, links: 0 })
    expect(await node.registry.collectGarbage({ graceMs: 0, dryRun: true, force: true })).toMatchObject({ links: 1 })
    node.advance(2 * 60_000)
    expect(await node.registry.collectGarbage({ graceMs: 0 })).toMatchObject({ links: 1, blobs: 1 })
  })

  test('where nobody is served, no grace is none, and a node with less than 15 minutes keeps to its own', async () => {
    await node.close()
    node = await openTemporaryRegistry({ graceMs: hour, serving: false })
    await pushBlob(node.registry, 'a', randomBytes(10))
    expect(await node.registry.collectGarbage({ graceMs: 0 })).toMatchObject({ graceMs: 0, links: 1 })
    await node.close()
    node = await openTemporaryRegistry({ graceMs: 60_000 })
    expect(await node.registry.collectGarbage({ graceMs: 0 })).toMatchObject({ graceMs: 60_000 })
  })

  test('two at once: the second is told', async () => {
    await pushImage(node.registry, 'a', 'x')
    const results = await Promise.allSettled([node.registry.collectGarbage(), node.registry.collectGarbage()])
    expect(results[1]).toMatchObject({ status: 'rejected', reason: { reason: 'UNAVAILABLE' } })
    expect(await node.registry.collectGarbage()).toMatchObject({ dryRun: false, manifests: 0 })
  })

  test('beside pushes, mounts and manifests never takes what an acknowledged manifest needs', {
    timeout: 60_000
  }, async () => {
    let collecting: Promise<unknown> | undefined
    let stopped = false
    // No grace at all: every blob is garbage the moment it is pushed, until its manifest is there.
    const collect = async () => {
      while (!stopped) {
        node.advance(2 * hour)
        await node.registry.collectGarbage()
      }
    }
    const start = () => {
      stopped = false
      collecting = collect()
    }
    const pause = async () => {
      stopped = true
      await collecting
    }
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
      try {
        await putManifest(node.registry, repository, imageManifest(config, layers), `t${index}`)
        return { repository, blobs }
      } catch (error) {
        // GC without grace may win before the manifest; then the client is told so, and nothing was promised.
        if (!(error instanceof RegistryErrors)) throw error
        expect(new Set(error.errors.map(({ reason }) => reason))).toEqual(new Set(['MANIFEST_BLOB_UNKNOWN']))
        return undefined
      }
    }
    const done = []
    for (let round = 0; round < 12; round++) {
      // Every other round is pushed while nothing is collected, so that half of the images are there for sure.
      if (round % 2 === 0) start()
      done.push(...(await Promise.all([0, 1, 2, 3, 4].map(index => push(round * 5 + index)))))
      if (round % 2 === 0) await pause()
    }
    start()
    await pause()
    const kept = done.filter(image => image !== undefined)
    expect(kept.length).toBeGreaterThanOrEqual(30)
    for (const { repository, blobs } of kept) {
      for (const blob of blobs)
        expect((await pullBlob(node.registry, repository, digestOf(blob))).equals(blob)).toBe(true)
    }
    const records: Digest[] = []
    for await (const { digest } of node.metadata.blobs()) records.push(digest)
    expect(await filesOnDisk()).toBe(records.length)
  })
})
