import { randomBytes } from 'node:crypto'
import { copyFile, mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Digest, digestOf, encodedOf } from '../../src/oci/digest.ts'
import type { Damage, Incomplete } from '../../src/registry/registry.ts'
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
  const quarantine = { files: 0, bytes: 0 }
  expect(report).toEqual({ blobs: 3, manifests: 1, bytes, damages: 0, incomplete: 0, quarantine })
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

const counts = () => node.registry.countDamage()

async function rot(digest: Digest, at = 0): Promise<void> {
  const file = await open(pathOf(digest), 'r+')
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at)
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at)
  await file.close()
}

test('a loss is reported until it is pushed again, also after a restart', async () => {
  const { layers } = await pushImage(node.registry, 'a', 'x')
  const layer = layers[0] ?? Buffer.alloc(0)
  const digest = digestOf(layer)
  await rm(pathOf(digest))
  expect(await scrub()).toMatchObject([{ digest, kind: 'blob', problem: 'missing', repaired: false, images: ['a:x'] }])
  expect(await scrub(true)).toMatchObject([{ digest, problem: 'missing', repaired: false, images: ['a:x'] }])
  node = await node.reopen()
  expect(await counts()).toEqual({ blobs: 1, manifests: 0 })
  expect(await scrub()).toMatchObject([{ digest, problem: 'missing', images: ['a:x'] }])
  await pushBlob(node.registry, 'elsewhere', layer)
  expect(await counts()).toEqual({ blobs: 0, manifests: 0 })
  expect(await scrub()).toEqual([])
})

test('what a pull found is damage in the first scrub after it', async () => {
  const { layers } = await pushImage(node.registry, 'a', 'x')
  const digest = digestOf(layers[0] ?? Buffer.alloc(0))
  node = await node.reopen()
  await rot(digest)
  await expect(pullBlob(node.registry, 'a', digest)).rejects.toMatchObject({ reason: 'CONTENT_CORRUPT' })
  await expect.poll(counts).toEqual({ blobs: 1, manifests: 0 })
  const quarantined = expect.stringContaining(join(node.folder, 'quarantine'))
  expect(await scrub()).toMatchObject([{ digest, problem: 'corrupt', images: ['a:x'], quarantined }])
  const { layers: shown } = await node.registry.inspect('a', { tag: 'x' })
  expect(shown).toMatchObject([{ digest, lost: true }])
})

test('a file that is gone when a pull wants it is a loss from then on', async () => {
  const { layers } = await pushImage(node.registry, 'a', 'x')
  const digest = digestOf(layers[0] ?? Buffer.alloc(0))
  await rm(pathOf(digest))
  await expect(pullBlob(node.registry, 'a', digest)).rejects.toMatchObject({ reason: 'CONTENT_CORRUPT' })
  await expect.poll(counts).toEqual({ blobs: 1, manifests: 0 })
  expect(await scrub()).toMatchObject([{ digest, problem: 'missing', images: ['a:x'] }])
})

test('deleting what needs a lost blob, and garbage collection then, end the damage; before that it takes nothing of it', async () => {
  const { digest: manifest, layers } = await pushImage(node.registry, 'a', 'x')
  const digest = digestOf(layers[0] ?? Buffer.alloc(0))
  await rm(pathOf(digest))
  await scrub()
  node.advance(48 * 60 * 60 * 1000)
  await node.registry.collectGarbage()
  expect(await scrub()).toMatchObject([{ digest, images: ['a:x'] }])
  await node.registry.deleteManifest('a', manifest)
  expect(await scrub()).toMatchObject([{ digest, images: [] }])
  await node.registry.collectGarbage()
  expect(await counts()).toEqual({ blobs: 0, manifests: 0 })
  expect(await scrub()).toEqual([])
})

test('a record that an older Pinnace left behind, which knows of none, goes with the next scrub', async () => {
  const { layers, digest } = await pushImage(node.registry, 'a', 'x')
  const blob = digestOf(layers[0] ?? Buffer.alloc(0))
  const record = { problem: 'missing', at: 1, foundBy: 'read' } as const
  await node.metadata.commit([
    { type: 'putLoss', kind: 'blob', digest: blob, record },
    { type: 'putLoss', kind: 'manifest', digest, record }
  ])
  expect(await counts()).toEqual({ blobs: 1, manifests: 1 })
  expect(await scrub()).toEqual([])
  expect(await counts()).toEqual({ blobs: 0, manifests: 0 })
})

test('a read that still sees the blob while it is taken out of service makes nothing of its loss forgotten', async () => {
  const { layers } = await pushImage(node.registry, 'a', 'x')
  const digest = digestOf(layers[0] ?? Buffer.alloc(0))
  const record = await node.metadata.blob(digest)
  await rot(digest)
  await scrub()
  vi.spyOn(node.metadata, 'blob').mockResolvedValueOnce(record)
  expect(await scrub()).toMatchObject([{ digest, problem: 'corrupt' }])
  expect(await counts()).toEqual({ blobs: 1, manifests: 0 })
})

test('a scrub beside the reads that meet the rot forgets none of it', async () => {
  const { layers } = await pushImage(
    node.registry,
    'a',
    'x',
    Array.from({ length: 12 }, (_, index) => 1_000 + index)
  )
  node = await node.reopen()
  const digests = layers.map(layer => digestOf(layer)).sort()
  for (const digest of digests) await rot(digest)
  const pulls = digests.map(digest => pullBlob(node.registry, 'a', digest).catch(() => undefined))
  while ((await counts()).blobs < digests.length) await scrub()
  await Promise.all(pulls)
  const found = await scrub()
  expect(found.map(({ digest }) => digest).sort()).toEqual(digests)
  expect(new Set(found.map(({ problem }) => problem))).toEqual(new Set(['corrupt']))
})

test('a rotten blob that no repository holds is put aside, and that is all', async () => {
  const digest = await pushBlob(node.registry, 'a', randomBytes(100))
  await rot(digest)
  await node.registry.deleteBlob('a', digest)
  expect(await scrub()).toMatchObject([{ digest, problem: 'corrupt', repaired: true, images: [] }])
  expect(await scrub()).toEqual([])
})

test('losses from before they were recorded are found by what is linked and not here', async () => {
  const { layers, manifest, digest } = await pushImage(node.registry, 'a', 'x')
  const lost = digestOf(layers[0] ?? Buffer.alloc(0))
  await node.metadata.commit([
    { type: 'deleteBlob', digest: lost },
    { type: 'deleteManifest', digest }
  ])
  await node.files.remove(lost)
  const found = [
    { digest: lost, kind: 'blob', problem: 'missing', images: ['a:x'] },
    { digest, kind: 'manifest', problem: 'missing', images: ['a:x'] }
  ]
  expect(await scrub()).toMatchObject(found)
  expect(await counts()).toEqual({ blobs: 1, manifests: 1 })
  expect(await scrub()).toMatchObject(found)
  await pushBlob(node.registry, 'a', layers[0] ?? Buffer.alloc(0))
  await putManifest(node.registry, 'a', manifest, 'x')
  expect(await scrub()).toEqual([])
})

test('a manifest that does not hash is put aside, and its push makes the image whole', async () => {
  const { manifest, digest } = await pushImage(node.registry, 'a', 'x')
  const rotten = Buffer.from(manifest)
  rotten[20] = 0
  await node.metadata.commit([{ type: 'putManifest', digest, bytes: rotten }])
  const quarantined = expect.stringContaining(join(node.folder, 'quarantine'))
  const found = { digest, kind: 'manifest', problem: 'corrupt', images: ['a:x'], repaired: false, quarantined }
  expect(await scrub()).toMatchObject([found])
  await expect(node.registry.getManifest('a', { tag: 'x' })).rejects.toMatchObject({ reason: 'MANIFEST_UNKNOWN' })
  node = await node.reopen()
  expect(await scrub()).toMatchObject([found])
  expect(await counts()).toEqual({ blobs: 0, manifests: 1 })
  await putManifest(node.registry, 'a', manifest, 'x')
  expect((await node.registry.getManifest('a', { tag: 'x' })).image?.toString()).toMatch(/^baf/)
  expect(await scrub()).toEqual([])
})

test('a manifest that does not hash is never served, and is damage from the request that met it on', async () => {
  const { manifest, digest } = await pushImage(node.registry, 'a', 'x')
  await node.registry.getManifest('a', { digest })
  const rotten = Buffer.from(manifest)
  rotten[20] = 0
  await node.metadata.commit([{ type: 'putManifest', digest, bytes: rotten }])
  await expect(node.registry.getManifest('a', { tag: 'x' })).rejects.toMatchObject({ reason: 'CONTENT_CORRUPT' })
  await expect.poll(counts).toEqual({ blobs: 0, manifests: 1 })
  await expect(node.registry.getManifest('a', { tag: 'x' })).rejects.toMatchObject({ reason: 'MANIFEST_UNKNOWN' })
  expect(await scrub()).toMatchObject([{ digest, kind: 'manifest', problem: 'corrupt', images: ['a:x'] }])
  await putManifest(node.registry, 'a', manifest, 'x')
  expect((await node.registry.getManifest('a', { tag: 'x' })).digest).toBe(digest)
})

test('a manifest whose bytes are lost can be deleted, and takes tags, references and the loss with it', async () => {
  const { manifest, digest, layers } = await pushImage(node.registry, 'a', 'x')
  const attached = Buffer.from(
    JSON.stringify({ ...JSON.parse(manifest.toString()), subject: { mediaType: 'm/t', digest, size: manifest.length } })
  )
  const referrer = await putManifest(node.registry, 'a', attached, 'sig')
  await node.metadata.commit([{ type: 'deleteManifest', digest: referrer.digest }])
  expect(await scrub()).toMatchObject([{ digest: referrer.digest, problem: 'missing', images: ['a:sig'] }])
  await node.registry.deleteManifest('a', referrer.digest)
  expect(await counts()).toEqual({ blobs: 0, manifests: 0 })
  expect(await node.metadata.tag('a', 'sig')).toBeUndefined()
  expect((await node.registry.listReferrers('a', digest, { limit: 10 })).items).toEqual([])
  const parents: Digest[] = []
  for await (const parent of node.metadata.parents('a', digestOf(layers[0] ?? Buffer.alloc(0)))) parents.push(parent)
  expect(parents).toEqual([digest])
  expect(await scrub()).toEqual([])
})

test('what was never pushed, and what is kept elsewhere, is incomplete and no damage', async () => {
  const sparse = await openTemporaryRegistry({ sparse: 'all' })
  try {
    const foreign = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'
    const [config, here, absent] = [randomBytes(10), randomBytes(11), randomBytes(12)]
    await pushBlob(sparse.registry, 'a', here)
    const manifest = JSON.parse(imageManifest(config, [here, absent]).toString())
    manifest.layers.push({ mediaType: foreign, digest: digestOf(randomBytes(13)), size: 13, urls: ['https://x/y'] })
    await putManifest(sparse.registry, 'a', Buffer.from(JSON.stringify(manifest)), 'x')
    const incomplete: Incomplete[] = []
    const report = await sparse.registry.scrub({ onIncomplete: one => incomplete.push(one) })
    expect(report).toMatchObject({ damages: 0, incomplete: 1 })
    expect(incomplete).toEqual([{ image: 'a:x', foreign: 1, absent: 2 }])
    await rm(join(sparse.folder, 'blobs', 'sha256', encodedOf(digestOf(here)).slice(0, 2)), { recursive: true })
    expect(await sparse.registry.scrub()).toMatchObject({ damages: 1, incomplete: 1 })
  } finally {
    await sparse.close()
  }
})

test('an inspection lives with a config that is lost', async () => {
  const { config, digest } = await pushImage(node.registry, 'a', 'x')
  await rm(pathOf(digestOf(config)))
  expect(await node.registry.inspect('a', { tag: 'x' })).toMatchObject({ digest, config: { lost: true } })
  await expect.poll(counts).toEqual({ blobs: 1, manifests: 0 })
  await expect.poll(async () => (await node.registry.inspect('a', { tag: 'x' })).imageCid).toBeUndefined()
  const shown = await node.registry.inspect('a', { tag: 'x' })
  expect(shown).toMatchObject({ config: { digest: digestOf(config), lost: true } })
})

test('a stray file is reported, put aside with repair, and never deleted', async () => {
  const digest = await pushBlob(node.registry, 'a', randomBytes(10))
  const [rotten, whole] = [digestOf(Buffer.from('nobody knows me')), digestOf(Buffer.from('whole'))]
  for (const stray of [rotten, whole]) await mkdir(dirname(pathOf(stray)), { recursive: true })
  await copyFile(pathOf(digest), pathOf(rotten))
  await writeFile(pathOf(whole), 'whole')
  const strays = [
    { digest: rotten, problem: 'stray', sound: false },
    { digest: whole, problem: 'stray', sound: true }
  ].sort((left, right) => (left.digest < right.digest ? -1 : 1))
  const inOrder = (damages: Damage[]) => damages.sort((left, right) => (left.digest < right.digest ? -1 : 1))
  expect(inOrder(await scrub())).toMatchObject(strays.map(stray => ({ ...stray, repaired: false })))
  const repaired = inOrder(await scrub(true))
  expect(repaired).toMatchObject(strays.map(stray => ({ ...stray, repaired: true })))
  const kept = await Promise.all(repaired.map(({ quarantined }) => readFile(quarantined ?? '')))
  expect(kept.map(bytes => bytes.length).sort()).toEqual([10, 5].sort())
  expect(await scrub()).toEqual([])
  expect((await node.registry.scrub()).quarantine).toEqual({ files: 2, bytes: 15 })
})

test('a blob whose file is not there after a crash is a loss from the start on', async () => {
  const { layers } = await pushImage(node.registry, 'a', 'x')
  const digest = digestOf(layers[0] ?? Buffer.alloc(0))
  const record = await node.metadata.blob(digest)
  if (record === undefined) throw new Error('not pushed')
  // So that the note of the push itself is gone.
  node = await node.reopen()
  await rm(pathOf(digest))
  await node.metadata.commit([{ type: 'putBlob', digest, record, uploadId: 'gone' }])
  node = await node.reopen()
  expect(await counts()).toEqual({ blobs: 1, manifests: 0 })
  expect((await node.registry.inspect('a', { tag: 'x' })).imageCid).toBeUndefined()
})

test('a crash between putting a blob aside and its images leaves no image that passes for whole', async () => {
  const { layers } = await pushImage(node.registry, 'a', 'x')
  const digest = digestOf(layers[0] ?? Buffer.alloc(0))
  await node.files.quarantine(digest)
  const record = { problem: 'corrupt', at: 1, foundBy: 'read' } as const
  await node.metadata.commit([
    { type: 'deleteBlob', digest },
    { type: 'putLoss', kind: 'blob', digest, record }
  ])
  node = await node.reopen()
  expect((await node.registry.inspect('a', { tag: 'x' })).imageCid).toBeUndefined()
})

test('what was put aside is listed with what became of it, and removed', async () => {
  const { layers } = await pushImage(node.registry, 'a', 'x', [100, 200])
  const [back, lost] = layers.map(bytes => digestOf(bytes))
  if (back === undefined || lost === undefined) throw new Error('two layers')
  for (const digest of [back, lost]) await rot(digest)
  await scrub()
  await pushBlob(node.registry, 'a', layers[0] ?? Buffer.alloc(0))
  await writeFile(join(node.folder, 'quarantine', 'notes'), 'by hand')
  const listed = new Map<string, string>()
  const names: string[] = []
  for await (const { name, digest, state } of node.registry.listQuarantine()) {
    listed.set(digest ?? name, state)
    names.push(name)
  }
  expect(listed).toEqual(
    new Map([
      [back, 'replaced'],
      [lost, 'lost'],
      ['notes', 'unneeded']
    ])
  )
  for (const name of names) await node.registry.removeQuarantined(name)
  expect(await readdir(join(node.folder, 'quarantine'))).toEqual([])
  await expect(node.registry.removeQuarantined('notes')).rejects.toMatchObject({ reason: 'NOT_FOUND' })
  expect(await counts()).toEqual({ blobs: 1, manifests: 0 })
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
