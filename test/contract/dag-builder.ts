import { readFile } from 'node:fs/promises'
import { code as dagPb } from '@ipld/dag-pb'
import { MemoryBlockstore } from 'blockstore-core'
import fc from 'fast-check'
import { importer } from 'ipfs-unixfs-importer'
import * as raw from 'multiformats/codecs/raw'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Digest, digestOf, encodedOf, parseDigest } from '../../src/oci/digest.ts'
import type { BlockEntry, Dag, DagBuilder, ImageMember } from '../../src/registry/ports.ts'
import { fixtureImages, type ImageVector } from '../ipfs/image-vectors.ts'
import { hexOf, importFile, importFolder, leavesFor, leavesOf, MiB, sha256 } from './dag-reference.ts'

/** `head -c <n>M /dev/zero | ipfs add -Q --only-hash` of Kubo 0.41 with profile unixfs-v1-2025. */
const zeroFiles = {
  2048: 'bafybeieyiwtflptdh35ga5rvsber2dzcbc7cikzfdwjmndjifuq42d6yhe',
  2049: 'bafybeig7dztia6wgfgaqc7e4pmr4pvsv2t6myv76tfge3yboam5djw7dt4',
  3000: 'bafybeid4opb55ccoitlfbk3kkmikyxeacr4uf57wfssme3w2ndcuvt5ubu',
  4095: 'bafybeiafmfztyzkxo5mqmjx2b6xnah66axvdjvveabreodvjuos66x34se',
  4096: 'bafybeidtxqruzlcsoiwzdbhebsfnif67v3r2r73etp6cvchma4xftr7izu'
}

function innerNodes(entries: Iterable<BlockEntry>): Map<string, Uint8Array> {
  const nodes = new Map<string, Uint8Array>()
  for (const { multihash, bytes } of entries) if (bytes !== undefined) nodes.set(hexOf(multihash), Buffer.from(bytes))
  return nodes
}

/** Every entry is where it says and its own hash; a node is there once, no two leaves share a place. */
function expectConsistent(dag: Dag): void {
  const blocks = [...dag.blocks]
  const nodes = blocks.filter(({ place }) => place.kind === 'node')
  expect(new Set(nodes.map(entry => hexOf(entry.multihash))).size).toBe(nodes.length)
  const offsets = blocks.flatMap(({ place }) => (place.kind === 'range' ? [place.offset] : []))
  expect(new Set(offsets).size).toBe(offsets.length)
  for (const { place, bytes, multihash } of blocks) {
    if (place.kind === 'range') {
      expect(bytes).toBeUndefined()
      continue
    }
    expect(bytes?.byteLength).toBe(place.length)
    expect(hexOf(multihash)).toBe(`1220${hexOf(sha256(bytes ?? new Uint8Array()))}`)
  }
}

/** An image of blobs held in memory. `manifest` is one of the members. */
async function imageOf(builder: DagBuilder, blobs: readonly Uint8Array[], manifest: Uint8Array, mediaType: string) {
  const members = new Map<Digest, ImageMember>()
  const files: { path: string; content: Uint8Array }[] = []
  for (const bytes of [manifest, ...blobs]) {
    const digest = digestOf(bytes)
    if (members.has(digest)) continue
    const { root, dagSize } = builder.file({ size: bytes.byteLength, leaves: leavesOf(bytes) })
    members.set(digest, { digest, root, dagSize })
    files.push({ path: `blobs/sha256/${encodedOf(digest)}`, content: bytes })
  }
  const descriptor = { digest: digestOf(manifest), mediaType, size: manifest.byteLength }
  const text = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":${JSON.stringify(mediaType)},"digest":"${descriptor.digest}","size":${descriptor.size}}]}`
  files.push({ path: 'index.json', content: Buffer.from(text) })
  files.push({ path: 'oci-layout', content: Buffer.from('{"imageLayoutVersion":"1.0.0"}') })
  return {
    dag: await builder.image(descriptor, [...members.values()]),
    files,
    members: [...members.values()],
    descriptor
  }
}

/** What any `DagBuilder` has to do: the CIDs, sizes and blocks of the reference importer and the published vectors. */
export function dagBuilderContract(create: () => DagBuilder | Promise<DagBuilder>): void {
  let builder: DagBuilder
  beforeAll(async () => {
    builder = await create()
  })
  describe('file', () => fileContract(() => builder))
  describe('image', () => imageContract(() => builder))
  describe('links', () => linksContract(() => builder))
}

function fileContract(builder: () => DagBuilder): void {
  async function expectLikeReference(size: number, leaves: Uint8Array): Promise<void> {
    const dag = builder().file({ size, leaves })
    const reference = await importFile(size, leaves)
    expect(dag.root.toString()).toBe(reference.root.toString())
    expect(dag.dagSize).toBe(reference.dagSize)
    expect(innerNodes(dag.blocks)).toEqual(reference.nodes)
    expectConsistent(dag)
  }

  it('is one raw block up to 1 MiB, with the very sha256 of the blob', () => {
    for (const size of [0, 1, MiB - 1, MiB]) {
      const bytes = Buffer.alloc(size, 7)
      const dag = builder().file({ size, leaves: leavesOf(bytes) })
      expect(hexOf(dag.root.multihash.digest)).toBe(encodedOf(digestOf(bytes)))
      expect(dag.root.code).toBe(raw.code)
      expect(dag.dagSize).toBe(size)
      expect([...dag.blocks]).toEqual([
        { multihash: dag.root.multihash.bytes, place: { kind: 'range', offset: 0, length: size } }
      ])
    }
  })

  it('gives the empty file the CID everyone knows', () => {
    const dag = builder().file({ size: 0, leaves: sha256(new Uint8Array()) })
    expect(dag.root.toString()).toBe('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')
  })

  it('equals the reference importer on real bytes', async () => {
    const bytes = Buffer.alloc(3 * MiB + 17, 'pinnace')
    const dag = builder().file({ size: bytes.byteLength, leaves: leavesOf(bytes) })
    const blocks = new MemoryBlockstore()
    for await (const entry of importer([{ path: 'f', content: bytes }], blocks, { profile: 'unixfs-v1-2025' })) {
      expect(dag.root.toString()).toBe(entry.cid.toString())
      expect(dag.dagSize).toBe(Number(entry.size))
    }
  })

  const border = (middle: number) => fc.integer({ min: middle - 3 * MiB, max: middle + 3 * MiB })
  const near = (middle: number) => fc.integer({ min: middle - 2, max: middle + 2 })

  it('equals the reference importer around 1 MiB', async () => {
    const sizes = fc.oneof(near(MiB), near(2 * MiB), fc.integer({ min: MiB + 1, max: 20 * MiB }))
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), (size, seed) =>
        expectLikeReference(Math.max(MiB + 1, size), leavesFor(Math.max(MiB + 1, size), seed))
      ),
      { numRuns: 60 }
    )
  })

  it('equals the reference importer around 1 GiB and above 4 GiB', async () => {
    // Between 2 and 4 GiB the importer itself writes sizes that are not the file's: see src/ipfs/dag/unixfs.ts.
    const sizes = fc.oneof(near(1024 * MiB), border(1024 * MiB), fc.integer({ min: 4096 * MiB, max: 4099 * MiB }))
    const property = fc.asyncProperty(sizes, fc.nat(), (size, seed) => expectLikeReference(size, leavesFor(size, seed)))
    await fc.assert(property, { numRuns: 10 })
  })

  it('lists a node once, however often the file repeats it, and a repeated leaf at each place', async () => {
    const zero = sha256(Buffer.alloc(MiB))
    const leaves = Buffer.concat(Array.from({ length: 2048 }, () => zero))
    const blocks = [...builder().file({ size: 2048 * MiB, leaves }).blocks]
    expect(blocks.filter(({ place }) => place.kind === 'node')).toHaveLength(2)
    const places = blocks.flatMap(({ place }) => (place.kind === 'range' ? [place.offset] : []))
    expect(places).toEqual(Array.from({ length: 2048 }, (_, index) => index * MiB))
    await expectLikeReference(1537 * MiB, leaves.subarray(0, 1537 * 32))
  })

  it('gives a file of zeroes between 2 and 4 GiB the CID that Kubo prints', () => {
    const zero = sha256(Buffer.alloc(MiB))
    for (const [count, root] of Object.entries(zeroFiles)) {
      const leaves = Buffer.concat(Array.from({ length: Number(count) }, () => zero))
      expect(
        builder()
          .file({ size: Number(count) * MiB, leaves })
          .root.toString()
      ).toBe(root)
    }
  })

  it('builds 100 GiB from its hashes', () => {
    const size = 100 * 1024 * MiB + 1
    const dag = builder().file({ size, leaves: leavesFor(size, 1) })
    const blocks = [...dag.blocks]
    expect(blocks).toHaveLength(102_401 + 101 + 1)
    expect(blocks.filter(entry => entry.place.kind === 'range').at(-1)?.place).toEqual({
      kind: 'range',
      offset: size - 1,
      length: 1
    })
  })

  it('refuses hashes that do not fit the size', () => {
    expect(() => builder().file({ size: MiB + 1, leaves: new Uint8Array(32) })).toThrow(TypeError)
    expect(() => builder().file({ size: 0, leaves: new Uint8Array(0) })).toThrow(TypeError)
  })
}

function imageContract(builder: () => DagBuilder): void {
  const ociManifest = 'application/vnd.oci.image.manifest.v1+json'

  async function expectLikeReference(blobs: readonly Uint8Array[], mediaType: string): Promise<Dag> {
    const { dag, files } = await imageOf(builder(), blobs, Buffer.from(`{"of":${blobs.length}}`), mediaType)
    const reference = await importFolder(files)
    expect(dag.root.toString()).toBe(reference.root.toString())
    expect(dag.dagSize).toBe(reference.dagSize)
    expectConsistent(dag)
    for (const { multihash, bytes } of dag.blocks)
      expect(reference.nodes.get(hexOf(multihash))).toEqual(Buffer.from(bytes ?? []))
    return dag
  }

  it('equals the reference importer for random images', async () => {
    const blob = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.integer({ min: MiB - 1, max: MiB + 2 }).map(size => Buffer.alloc(size, size))
    )
    const blobs = fc.array(blob, { maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(blobs, list => expectLikeReference(list, ociManifest).then(() => undefined)),
      { numRuns: 30 }
    )
  })

  it('equals the reference importer on both sides of the HAMT threshold', async () => {
    for (const count of [2426, 2427, 3300]) {
      const dag = await expectLikeReference(
        Array.from({ length: count }, (_, index) => Buffer.from(`layer ${index}`)),
        ociManifest
      )
      expect([...dag.blocks].length > 5).toBe(count >= 2427)
    }
  }, 60_000)

  it('does not depend on the order of members', async () => {
    const blobs = Array.from({ length: 3000 }, (_, index) => Buffer.from(String(index)))
    const { dag, members, descriptor } = await imageOf(builder(), blobs, Buffer.from('{}'), ociManifest)
    const again = await builder().image(descriptor, members.toReversed())
    expect(again.root.toString()).toBe(dag.root.toString())
    expect(again.dagSize).toBe(dag.dagSize)
  })

  for (const name of ['image', 'index', 'sha512', 'sharded'] as const) {
    it(`gives the published CIDs: ${name}`, async () => {
      const vector: ImageVector = (
        await fixtureImages(await readFile(new URL('../fixtures/image-cid.json', import.meta.url), 'utf8'))
      )[name]
      const members: ImageMember[] = vector.blobs.map(({ digest, bytes }) => {
        const { root, dagSize } = builder().file({ size: bytes.byteLength, leaves: leavesOf(bytes) })
        return { digest, root, dagSize }
      })
      for (const [digest, root] of Object.entries(vector.roots)) {
        expect(members.find(member => member.digest === parseDigest(digest))?.root.toString()).toBe(root)
      }
      const dag = await builder().image(vector.manifest, members)
      expect(dag.root.toString()).toBe(vector.imageCid)
      expect(dag.dagSize).toBe(vector.dagSize)
    })
  }
}

function linksContract(builder: () => DagBuilder): void {
  it('gives the children of an inner node in order, with the bytes below', () => {
    const size = 1025 * MiB + 5
    const dag = builder().file({ size, leaves: leavesFor(size, 3) })
    const blocks = [...dag.blocks]
    const bytesOf = (multihash: Uint8Array) => blocks.find(entry => hexOf(entry.multihash) === hexOf(multihash))?.bytes
    const top = builder().links(dag.root, bytesOf(dag.root.multihash.bytes) ?? new Uint8Array())
    expect(top.map(link => link.size)).toEqual([1024 * MiB, MiB + 5])
    const below = top.flatMap(link => builder().links(link.cid, bytesOf(link.multihash) ?? new Uint8Array()))
    expect(Buffer.concat(below.map(link => link.multihash.subarray(2)))).toEqual(leavesFor(size, 3))
    expect(below.at(-1)?.size).toBe(5)
  })

  it('gives none for a leaf, whatever its bytes', () => {
    const { root } = builder().file({ size: 3, leaves: sha256(Buffer.from('abc')) })
    expect(root.code).not.toBe(dagPb)
    expect(builder().links(root, Buffer.from('abc'))).toEqual([])
  })
}
