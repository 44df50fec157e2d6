import { randomBytes } from 'node:crypto'
import { copyFile, mkdir, open, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Digest, digestOf, encodedOf } from '../../src/oci/digest.ts'
import type { Damage } from '../../src/registry/registry.ts'
import {
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

const pathOf = (digest: Digest) =>
  join(node.folder, 'blobs', 'sha256', encodedOf(digest).slice(0, 2), encodedOf(digest))

async function scrub(repair = false): Promise<Damage[]> {
  const damages: Damage[] = []
  const report = await node.registry.scrub({ repair, onDamage: damage => damages.push(damage) })
  expect(report.damages).toBe(damages.length)
  return damages
}

test('sound content has no damage, and everything was read', async () => {
  const { config, layers, manifest } = await pushImage(node.registry, 'a', 'x', [10, 3_000_000])
  const report = await node.registry.scrub()
  const bytes = [config, ...layers, manifest].reduce((sum, part) => sum + part.length, 0)
  expect(report).toEqual({ blobs: 3, manifests: 1, bytes, damages: 0 })
})

test('a rotten blob is quarantined, its images are named up to the index, and a push heals them', async () => {
  const { digest, layers, manifest } = await pushImage(node.registry, 'lib/app', 'v1', [2_000_000])
  await putManifest(node.registry, 'lib/app', indexManifest([manifest]), 'multi')
  const layer = layers[0] ?? Buffer.alloc(0)
  const file = await open(pathOf(digestOf(layer)), 'r+')
  await file.write(Buffer.from([(layer[1_500_000] ?? 0) ^ 1]), 0, 1, 1_500_000)
  await file.close()
  const [damage, ...others] = await scrub()
  expect(others).toEqual([])
  expect(damage).toMatchObject({
    digest: digestOf(layer),
    problem: 'corrupt',
    repaired: false,
    images: ['lib/app:multi', 'lib/app:v1']
  })
  expect(await readdir(join(node.folder, 'quarantine'))).toHaveLength(1)
  expect((await node.registry.getManifest('lib/app', { digest })).image).toBeUndefined()
  await pushBlob(node.registry, 'lib/app', layer)
  expect((await pullBlob(node.registry, 'lib/app', digestOf(layer))).equals(layer)).toBe(true)
  for (const tag of ['v1', 'multi']) expect((await node.registry.getManifest('lib/app', { tag })).image).toBeDefined()
  expect(await scrub()).toEqual([])
})

test('a missing file, found once', async () => {
  const { layers } = await pushImage(node.registry, 'a', 'x')
  const digest = digestOf(layers[0] ?? Buffer.alloc(0))
  await rm(pathOf(digest))
  expect(await scrub()).toMatchObject([{ digest, problem: 'missing', images: ['a:x'] }])
  expect(await scrub()).toEqual([])
})

test('a stray file is reported, and removed only with repair', async () => {
  const digest = await pushBlob(node.registry, 'a', randomBytes(10))
  const stray = digestOf(Buffer.from('nobody knows me'))
  await mkdir(dirname(pathOf(stray)), { recursive: true })
  await copyFile(pathOf(digest), pathOf(stray))
  expect(await scrub()).toMatchObject([{ digest: stray, problem: 'stray', repaired: false }])
  expect(await scrub(true)).toMatchObject([{ digest: stray, problem: 'stray', repaired: true }])
  expect(await scrub()).toEqual([])
})

test('a hole in the block index is found and mended', async () => {
  const bytes = randomBytes(3_000_000)
  const digest = await pushBlob(node.registry, 'a', bytes)
  const record = await node.metadata.blob(digest)
  await node.metadata.commit([
    { type: 'deleteBlocks', home: `blob:${digest}`, multihashes: [record?.root.multihash.bytes ?? new Uint8Array()] }
  ])
  expect(await scrub()).toMatchObject([{ digest, problem: 'unindexed', repaired: false }])
  expect(await scrub(true)).toMatchObject([{ digest, problem: 'unindexed', repaired: true }])
  expect(await scrub()).toEqual([])
  node = await node.reopen()
  expect((await pullBlob(node.registry, 'a', digest)).equals(bytes)).toBe(true)
})
