import { createHash, randomBytes } from 'node:crypto'
import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BlockSource } from '../../src/ipfs/block-source.ts'
import { UnixfsDagBuilder } from '../../src/ipfs/dag-builder.ts'
import { createBlockSource } from '../../src/node/block-source.ts'
import { digestOf } from '../../src/oci/digest.ts'
import {
  indexManifest,
  openTemporaryRegistry,
  pushBlob,
  pushImage,
  putManifest,
  type TemporaryRegistry
} from '../registry/temporary-registry.ts'

let node: TemporaryRegistry
let source: BlockSource
let open: (repository: string) => boolean

beforeEach(async () => {
  node = await openTemporaryRegistry({ sparse: 'indexes' })
  open = () => true
  source = createBlockSource({
    metadata: node.metadata,
    files: node.files,
    dags: new UnixfsDagBuilder(),
    blobPath: digest => join(node.folder, digest),
    authorize: (subject, action, repository) => subject.kind === 'anonymous' && action === 'pull' && open(repository)
  })
})
afterEach(async () => {
  await node.close()
})

describe('ranges', () => {
  test('of a blob and of a manifest', async () => {
    const { layers, manifest, digest } = await pushImage(node.registry, 'a', 'x', [2_000_000])
    const layer = layers[0] ?? Buffer.alloc(0)
    const range = await source.readRange(`blob:${digestOf(layer)}`, 1_048_576, 1_048_576)
    expect(Buffer.from(range ?? []).equals(layer.subarray(1_048_576))).toBe(true)
    expect(Buffer.from((await source.readRange(`manifest:${digest}`, 2, 5)) ?? [])).toEqual(manifest.subarray(2, 7))
    expect(await source.readRange(`blob:${digestOf(Buffer.from('absent'))}`, 0, 1)).toBeUndefined()
  })

  test('of many blobs at once leave no file open', async () => {
    const blobs = Array.from({ length: 80 }, () => randomBytes(100))
    for (const blob of blobs) await pushBlob(node.registry, 'a', blob)
    const read = await Promise.all(blobs.map(blob => source.readRange(`blob:${digestOf(blob)}`, 0, 100)))
    for (const [index, bytes] of read.entries()) expect(Buffer.from(bytes ?? [])).toEqual(blobs[index])
    expect(await openBlobs(node.folder)).toBe(0)
  })
})

test('a blob or image may be served while any repository that holds it may be pulled', async () => {
  const { digest, layers } = await pushImage(node.registry, 'private/a', 'x')
  const layer = digestOf(layers[0] ?? Buffer.alloc(0))
  open = name => !name.startsWith('private/')
  for (const home of [`blob:${layer}`, `image:${digest}`, `manifest:${digest}`] as const)
    expect(await source.mayServe(home)).toBe(false)
  await node.registry.mountBlob('public/b', layer, 'private/a', () => true)
  expect(await source.mayServe(`blob:${layer}`)).toBe(true)
  expect(await source.mayServe(`image:${digest}`)).toBe(false)
  expect(await source.mayServe(`blob:${digestOf(Buffer.from('absent'))}`)).toBe(false)
})

test('an image that is whole only in a private repository is not shown by the public one that has its index alone', async () => {
  const { manifest, config, layers } = await pushImage(node.registry, 'private/a', 'amd64')
  const index = indexManifest([manifest])
  const { digest } = await putManifest(node.registry, 'private/a', index, 'v1')
  await putManifest(node.registry, 'public/b', index, 'v1')
  open = name => !name.startsWith('private/')
  // Its directory names every layer of the private image.
  expect(await source.mayServe(`image:${digest}`)).toBe(false)
  expect(await source.mayServe(`manifest:${digest}`)).toBe(true)
  for (const blob of [config, ...layers]) await pushBlob(node.registry, 'public/b', blob)
  await putManifest(node.registry, 'public/b', manifest)
  expect(await source.mayServe(`image:${digest}`)).toBe(true)
  open = () => true
  await node.registry.deleteManifest('public/b', digestOf(manifest))
  expect(await source.mayServe(`image:${digest}`)).toBe(true)
})

test('a leaf that several blobs have may be served by the homes that are public, and by no other', async () => {
  const shared = randomBytes(1_048_576)
  const secret = await pushBlob(node.registry, 'private/a', Buffer.concat([shared, randomBytes(9)]))
  const known = await pushBlob(node.registry, 'public/b', Buffer.concat([shared, randomBytes(9)]))
  open = name => !name.startsWith('private/')
  const multihash = Buffer.concat([Buffer.from([0x12, 0x20]), createHash('sha256').update(shared).digest()])
  const homes: Record<string, boolean> = {}
  for await (const { home } of source.blockHomes(multihash)) homes[home] = await source.mayServe(home)
  expect(homes).toEqual({ [`blob:${secret}`]: false, [`blob:${known}`]: true })
  open = () => false
  expect(await source.mayServe(`blob:${known}`)).toBe(false)
})

/** Blob files that this process has open, by Linux' own account. */
async function openBlobs(folder: string): Promise<number> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => ''))
  )
  return links.filter(path => path.startsWith(`${folder}/blobs/`)).length
}
