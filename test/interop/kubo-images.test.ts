import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { blocksOfCar, completeness } from './car.ts'
import { type Kubo, startKubo } from './kubo.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { mediaTypes, pushImage, pushManifest } from './push.ts'
import { describeWithTools, runTool } from './tools.ts'

const MiB = 1024 * 1024

describeWithTools(['ipfs', 'skopeo'], 'Kubo and skopeo read images from a node', () => {
  let folder: string
  let node: Pinnace
  let kubo: Kubo

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-kubo-images-'))
    ;[node, kubo] = await Promise.all([startPinnace(), startKubo()])
    const [address = ''] = (await node.id()).multiaddrs
    await kubo.connect(address)
  })

  afterAll(async () => {
    await Promise.all([node?.close(), kubo?.close()])
    await rm(folder, { recursive: true, force: true })
  })

  const skopeo = async (...args: string[]) => await runTool('skopeo', ['--insecure-policy', ...args])

  it('one, as an OCI layout that adds up to the same CID', async () => {
    const layers = [randomBytes(3 * MiB + 7), Buffer.from('a small layer'), Buffer.alloc(2 * MiB)]
    const { imageCid, descriptor } = await pushImage(node.url, 'images', 'one', { architecture: 'amd64', layers })
    const layout = join(folder, 'image')
    await kubo.get(imageCid, layout)
    expect(await readdir(join(layout, 'blobs', 'sha256'))).toHaveLength(5)
    expect(await readFile(join(layout, 'oci-layout'), 'utf8')).toBe('{"imageLayoutVersion":"1.0.0"}')
    expect(await kubo.addOnlyHash(layout)).toBe(imageCid)

    const inspected: { Digest: string; Layers: string[] } = JSON.parse(
      (await skopeo('inspect', `oci:${layout}`)).stdout
    )
    expect(inspected.Digest).toBe(descriptor.digest)
    expect(inspected.Layers).toHaveLength(3)
    await skopeo('copy', `oci:${layout}`, `dir:${join(folder, 'copied')}`)
    expect((await readdir(join(folder, 'copied'))).length).toBeGreaterThanOrEqual(5)
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

    for (const architecture of ['amd64', 'arm64']) {
      const platform = ['--override-os', 'linux', '--override-arch', architecture]
      const { stdout } = await skopeo(...platform, 'inspect', `oci:${layout}`)
      const inspected: { Architecture: string } = JSON.parse(stdout)
      expect(inspected.Architecture).toBe(architecture)
    }
    await skopeo('copy', '--all', `oci:${layout}`, `dir:${join(folder, 'all')}`)
    expect((await readdir(join(folder, 'all'))).length).toBeGreaterThanOrEqual(8)
  })

  it('one of 2,500 layers, whose folder is sharded', async () => {
    const layers = Array.from({ length: 2500 }, (_, index) => Buffer.from(`layer ${index}`))
    const { imageCid } = await pushImage(node.url, 'images', 'wide', { architecture: 'amd64', layers })
    const layout = join(folder, 'wide')
    // Kubo gets small files one after the other, 20 ms each, and pins them in parallel.
    await kubo.ipfs(['pin', 'add', '--progress=false', imageCid])
    await kubo.get(imageCid, layout)
    expect(await readdir(join(layout, 'blobs', 'sha256'))).toHaveLength(2502)
    expect(await kubo.addOnlyHash(layout)).toBe(imageCid)
  }, 240_000)

  it('one that is pinned, which is then complete without the node', async () => {
    const layers = [randomBytes(5 * MiB), randomBytes(100)]
    const { imageCid } = await pushImage(node.url, 'images', 'pinned', { architecture: 'amd64', layers })
    await kubo.ipfs(['pin', 'add', '--progress=false', imageCid])
    const { bytes } = await kubo.ipfs(['dag', 'export', '--progress=false', '--offline', imageCid])
    expect(completeness(imageCid, blocksOfCar(bytes))).toBe(2 + 3 + 5 + 1 + 1 + 1 + 1)
  })

  it('one as a CAR, complete', async () => {
    const layers = [randomBytes(3 * MiB), Buffer.from('last')]
    const { imageCid } = await pushImage(node.url, 'images', 'exported', { architecture: 'amd64', layers })
    const { bytes } = await kubo.ipfs(['dag', 'export', '--progress=false', imageCid])
    expect(completeness(imageCid, blocksOfCar(bytes))).toBe(2 + 3 + 3 + 1 + 1 + 1 + 1)
  })
})
