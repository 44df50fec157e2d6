import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { CID } from 'multiformats/cid'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { directoryDag, shardingThreshold } from '../../src/ipfs/dag/directory.ts'
import { indexJson, ociLayout } from '../../src/ipfs/dag/image.ts'
import { BlockSet } from '../../src/ipfs/dag/node.ts'
import { namesForBlockOf } from '../ipfs/folder-of-size.ts'
import { fixtureImages } from '../ipfs/image-vectors.ts'
import { blocksOfCar, completeness } from './car.ts'
import { type Kubo, startKubo } from './kubo.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { mediaTypes, pushBlob, pushBytes, pushImage, pushManifest, sha256OfFile } from './push.ts'
import { slowLink } from './slow-link.ts'
import { describeWithTools, runTool } from './tools.ts'

const MiB = 1024 * 1024

/** A file whose 1 MiB chunks all differ, made faster than random bytes. */
async function makeFile(path: string, size: number): Promise<void> {
  const chunk = randomBytes(MiB)
  const chunks = function* () {
    for (let at = 0; at < size; at += MiB) {
      chunk.writeUInt32LE(at / MiB)
      yield Buffer.from(chunk.subarray(0, size - at))
    }
  }
  await pipeline(Readable.from(chunks()), createWriteStream(path))
}

describeWithTools(['ipfs'], 'Kubo reads from a node', () => {
  let folder: string
  let node: Pinnace
  let kubo: Kubo

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-kubo-test-'))
    ;[node, kubo] = await Promise.all([startPinnace(), startKubo()])
    const [address = ''] = (await node.id()).multiaddrs
    await kubo.connect(address)
  })

  afterAll(async () => {
    await Promise.all([node?.close(), kubo?.close()])
    await rm(folder, { recursive: true, force: true })
  })

  const pushFile = async (path: string, size: number) => {
    const digest = await sha256OfFile(path)
    return { digest, cid: await pushBlob(node.url, 'blobs', { digest, size, body: () => createReadStream(path) }) }
  }

  const cat = async (cid: string, from = kubo): Promise<string> => {
    const target = join(folder, `cat-${cid}`)
    await from.ipfs(['cat', cid], { output: createWriteStream(target), timeout: 240_000 })
    const digest = await sha256OfFile(target)
    await rm(target)
    return digest
  }

  for (const size of [0, 1, MiB - 1, MiB, MiB + 1, 300 * MiB, 1025 * MiB]) {
    it(`a blob of ${size} bytes, byte for byte, by the CID that Kubo computes`, async () => {
      const path = join(folder, `blob-${size}`)
      await makeFile(path, size)
      const { digest, cid } = await pushFile(path, size)
      expect(cid).toBe(await kubo.addOnlyHash(path))
      expect(await cat(cid)).toBe(digest)
      await rm(path)
    }, 400_000)
  }

  it('an image, as an OCI layout that adds up to the same CID', async () => {
    const layers = [randomBytes(3 * MiB + 7), Buffer.from('a small layer'), Buffer.alloc(2 * MiB)]
    const { imageCid } = await pushImage(node.url, 'images', 'one', { architecture: 'amd64', layers })
    const layout = join(folder, 'image')
    await kubo.get(imageCid, layout)
    expect(await readdir(join(layout, 'blobs', 'sha256'))).toHaveLength(5)
    expect(await readFile(join(layout, 'oci-layout'), 'utf8')).toBe('{"imageLayoutVersion":"1.0.0"}')
    expect(await kubo.addOnlyHash(layout)).toBe(imageCid)
  })

  it('a multi-platform index, with all its children', async () => {
    const children = []
    for (const architecture of ['amd64', 'arm64']) {
      const layers = [randomBytes(MiB + 1), Buffer.from('shared by both')]
      const { descriptor } = await pushImage(node.url, 'images', architecture, { architecture, layers })
      children.push({ ...descriptor, platform: { architecture, os: 'linux' } })
    }
    const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: children }
    const { imageCid } = await pushManifest(node.url, 'images', 'multi', index)
    const layout = join(folder, 'index')
    await kubo.get(imageCid, layout)
    expect(await readdir(join(layout, 'blobs', 'sha256'))).toHaveLength(8)
    expect(await kubo.addOnlyHash(layout)).toBe(imageCid)
  })

  it('an image of 2,500 layers, whose folder is sharded', async () => {
    const layers = Array.from({ length: 2500 }, (_, index) => Buffer.from(`layer ${index}`))
    const { imageCid } = await pushImage(node.url, 'images', 'wide', { architecture: 'amd64', layers })
    const layout = join(folder, 'wide')
    await kubo.get(imageCid, layout)
    expect(await readdir(join(layout, 'blobs', 'sha256'))).toHaveLength(2502)
    expect(await kubo.addOnlyHash(layout)).toBe(imageCid)
  }, 240_000)

  it('a pinned image, which is then complete without the node', async () => {
    const layers = [randomBytes(5 * MiB), randomBytes(100)]
    const { imageCid } = await pushImage(node.url, 'images', 'pinned', { architecture: 'amd64', layers })
    await kubo.ipfs(['pin', 'add', '--progress=false', imageCid])
    const { bytes } = await kubo.ipfs(['dag', 'export', '--progress=false', '--offline', imageCid])
    expect(completeness(imageCid, blocksOfCar(bytes))).toBe(2 + 3 + 5 + 1 + 1 + 1 + 1)
  })

  it('a CAR of an image, complete', async () => {
    const layers = [randomBytes(3 * MiB), Buffer.from('last')]
    const { imageCid } = await pushImage(node.url, 'images', 'exported', { architecture: 'amd64', layers })
    const { bytes } = await kubo.ipfs(['dag', 'export', '--progress=false', imageCid])
    expect(completeness(imageCid, blocksOfCar(bytes))).toBe(2 + 3 + 3 + 1 + 1 + 1 + 1)
  })

  it('two blobs with 25 s of silence between them', async () => {
    for (const silence of [0, 25_000]) {
      await delay(silence)
      const bytes = randomBytes(2 * MiB)
      const cid = await pushBytes(node.url, 'blobs', bytes)
      expect((await kubo.cat(cid, { timeout: 20_000 })).equals(bytes)).toBe(true)
    }
  })

  it('20 blobs wanted at once, none of them late', async () => {
    const blobs = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const path = join(folder, `many-${index}`)
        await makeFile(path, 20 * MiB)
        return await pushFile(path, 20 * MiB)
      })
    )
    // Kubo repeats a want that nobody answered after 30 s.
    const digests = await Promise.all(blobs.map(({ cid }) => cat(cid)))
    expect(digests).toEqual(blobs.map(({ digest }) => digest))
  })

  it('a blob read slowly', async () => {
    const bytes = randomBytes(48 * MiB)
    const cid = await pushBytes(node.url, 'blobs', bytes)
    const got: Buffer[] = []
    const output = new Writable({
      write(chunk: Buffer, _encoding, done) {
        got.push(chunk)
        void delay((chunk.byteLength / (4 * MiB)) * 1000).then(() => done())
      }
    })
    await kubo.ipfs(['cat', cid], { output })
    expect(Buffer.concat(got).equals(bytes)).toBe(true)
  })

  it('a blob over a slow link', async () => {
    const far = await startKubo()
    const { peerId, multiaddrs } = await node.id()
    const link = await slowLink(Number(/\/tcp\/(\d+)/.exec(multiaddrs[0] ?? '')?.[1]), MiB)
    try {
      await far.connect(`/ip4/127.0.0.1/tcp/${link.port}/p2p/${peerId}`)
      const bytes = randomBytes(25 * MiB)
      const cid = await pushBytes(node.url, 'blobs', bytes)
      expect((await far.cat(cid, { maxOutput: 64 * MiB })).equals(bytes)).toBe(true)
    } finally {
      link.close()
      await far.close()
    }
  })

  it('a blob that is pushed after Kubo asked for it', async () => {
    const bytes = randomBytes(MiB + 5)
    const path = join(folder, 'later')
    await writeFile(path, bytes)
    const asked = kubo.cat(await kubo.addOnlyHash(path), { timeout: 100_000 })
    await delay(1000)
    await pushBytes(node.url, 'blobs', bytes)
    expect((await asked).equals(bytes)).toBe(true)
  })

  it('nothing that was deleted', async () => {
    const bytes = randomBytes(1000)
    const cid = await pushBytes(node.url, 'deleted', bytes)
    const digest = await cat(await pushBytes(node.url, 'deleted', randomBytes(1000)))
    expect(digest).toMatch(/^sha256:/)
    const { status } = await fetch(
      `${node.url}/v2/deleted/blobs/sha256:${Buffer.from(CID.parse(cid).multihash.digest).toString('hex')}`,
      { method: 'DELETE' }
    )
    expect(status).toBe(202)
    await expect(kubo.ipfs(['block', 'get', '--timeout=5s', cid])).rejects.toThrow(/deadline|not found/)
  })

  it('from a node that dialled it, as ipfs.peers says', async () => {
    const [address = ''] = kubo.multiaddrs
    const caller = await startPinnace({ config: { ipfs: { peers: [address] } } })
    try {
      const { peerId } = await caller.id()
      while (!(await kubo.ipfs(['swarm', 'peers'])).stdout.includes(peerId)) await delay(100)
      const bytes = randomBytes(2 * MiB)
      expect((await kubo.cat(await pushBytes(caller.url, 'blobs', bytes))).equals(bytes)).toBe(true)
    } finally {
      await caller.close()
    }
  })
})

describeWithTools(['ipfs', 'skopeo'], 'skopeo reads what Kubo fetched', () => {
  let folder: string
  let node: Pinnace
  let kubo: Kubo

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-skopeo-'))
    ;[node, kubo] = await Promise.all([startPinnace(), startKubo()])
    const [address = ''] = (await node.id()).multiaddrs
    await kubo.connect(address)
  })

  afterAll(async () => {
    await Promise.all([node?.close(), kubo?.close()])
    await rm(folder, { recursive: true, force: true })
  })

  const skopeo = async (...args: string[]) => await runTool('skopeo', ['--insecure-policy', ...args])

  it('inspects and copies an image', async () => {
    const layers = [randomBytes(2 * MiB), Buffer.from('top')]
    const { imageCid, descriptor } = await pushImage(node.url, 'images', 'one', { architecture: 'amd64', layers })
    const layout = join(folder, 'image')
    await kubo.get(imageCid, layout)
    const inspected: { Digest: string; Layers: string[] } = JSON.parse(
      (await skopeo('inspect', `oci:${layout}`)).stdout
    )
    expect(inspected.Digest).toBe(descriptor.digest)
    expect(inspected.Layers).toHaveLength(2)
    await skopeo('copy', `oci:${layout}`, `dir:${join(folder, 'copied')}`)
    expect((await readdir(join(folder, 'copied'))).length).toBeGreaterThanOrEqual(4)
  })

  it('inspects and copies a multi-platform index', async () => {
    const children = []
    for (const architecture of ['amd64', 'arm64']) {
      const image = { architecture, layers: [randomBytes(MiB + 1)] }
      const { descriptor } = await pushImage(node.url, 'images', architecture, image)
      children.push({ ...descriptor, platform: { architecture, os: 'linux' } })
    }
    const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: children }
    const { imageCid } = await pushManifest(node.url, 'images', 'multi', index)
    const layout = join(folder, 'index')
    await kubo.get(imageCid, layout)
    for (const architecture of ['amd64', 'arm64']) {
      const platform = ['--override-os', 'linux', '--override-arch', architecture]
      const inspected: { Architecture: string } = JSON.parse(
        (await skopeo(...platform, 'inspect', `oci:${layout}`)).stdout
      )
      expect(inspected.Architecture).toBe(architecture)
    }
    await skopeo('copy', '--all', `oci:${layout}`, `dir:${join(folder, 'all')}`)
    expect((await readdir(join(folder, 'all'))).length).toBeGreaterThanOrEqual(7)
  })
})

describeWithTools(['ipfs'], 'Kubo computes the same CIDs', () => {
  let folder: string
  let kubo: Kubo

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-vectors-'))
    kubo = await startKubo()
  })

  afterAll(async () => {
    await kubo?.close()
    await rm(folder, { recursive: true, force: true })
  })

  for (const name of ['image', 'index', 'sha512', 'sharded'] as const) {
    it(`of the published vector "${name}"`, async () => {
      const text = await readFile(new URL('../fixtures/image-cid.json', import.meta.url), 'utf8')
      const { manifest, blobs, roots, imageCid, dagSize } = fixtureImages(text)[name]
      const layout = join(folder, name)
      for (const { digest, bytes } of blobs) {
        const path = join(layout, 'blobs', digest.replace(':', '/'))
        await mkdir(join(path, '..'), { recursive: true })
        await writeFile(path, bytes)
        const root = roots[digest]
        if (root !== undefined) expect(await kubo.addOnlyHash(path)).toBe(root)
      }
      await writeFile(join(layout, 'oci-layout'), ociLayout)
      await writeFile(join(layout, 'index.json'), indexJson(manifest))
      expect(await kubo.add(layout)).toBe(imageCid)
      const stat: { CumulativeSize: number } = JSON.parse(
        (await kubo.ipfs(['files', 'stat', '--enc=json', `/ipfs/${imageCid}`])).stdout
      )
      expect(stat.CumulativeSize).toBe(dagSize)
    })
  }

  for (const size of [shardingThreshold - 1, shardingThreshold, shardingThreshold + 1]) {
    it(`of a folder whose block would have ${size} bytes`, async () => {
      const layout = join(folder, String(size))
      await mkdir(layout)
      const cid = CID.parse('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')
      const names = namesForBlockOf(size)
      for (const name of names) await writeFile(join(layout, name), '')
      const dag = await directoryDag(new Map(names.map(name => [name, { cid, dagSize: 0 }])), new BlockSet())
      expect(await kubo.addOnlyHash(layout)).toBe(dag.cid.toString())
    })
  }
})
