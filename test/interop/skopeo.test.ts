import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  busyboxLayer,
  digestOf,
  digestsOf,
  type Image,
  imageOf,
  indexOf,
  readLayout,
  tarOf,
  writeLayout
} from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { ask, validateImage } from './registry-api.ts'
import { describeWithTools, type RunOptions, runTool } from './tools.ts'

describeWithTools(['skopeo', 'busybox', 'tar'], 'skopeo', () => {
  let folder: string
  let node: Pinnace
  let other: Pinnace
  let image: Image
  let index: Image
  const skopeo = (args: readonly string[], options?: RunOptions) =>
    runTool('skopeo', ['--insecure-policy', '--tmpdir', folder, ...args], options)
  const insecure = ['--src-tls-verify=false', '--dest-tls-verify=false']
  const copy = (from: string, to: string, ...flags: string[]) => skopeo(['copy', ...insecure, ...flags, from, to])
  const inspect = async (...args: string[]) =>
    JSON.parse((await skopeo(['inspect', '--tls-verify=false', ...args])).stdout)

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-skopeo-test-'))
    ;[node, other] = await Promise.all([startPinnace(), startPinnace()])
    image = imageOf([await busyboxLayer(), tarOf({ random: randomBytes(2 << 20) })], { annotations: { a: 'b' } })
    const arm = imageOf([tarOf({ arm: randomBytes(1000) })], {
      platform: { os: 'linux', architecture: 'arm64', variant: 'v8' }
    })
    index = indexOf([image, arm])
    await writeLayout(join(folder, 'layout'), { image, index })
    await copy(`oci:${join(folder, 'layout')}:image`, `docker://${node.host}/skopeo/image:v1`)
    await copy(`oci:${join(folder, 'layout')}:index`, `docker://${node.host}/skopeo/index:v1`, '--all')
  })
  afterAll(async () => {
    await node?.close()
    await other?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('copies an image and a whole index in, byte for byte', async () => {
    await validateImage(node.url, 'skopeo/image', 'v1', image)
    await validateImage(node.url, 'skopeo/index', 'v1', index)
  })

  it('copies a whole index out to an OCI layout', async () => {
    await copy(`docker://${node.host}/skopeo/index:v1`, `oci:${join(folder, 'out')}:v1`, '--all')
    expect((await readLayout(join(folder, 'out'))).map(({ digest }) => digest)).toEqual([index.descriptor.digest])
    const blobs = (await readdir(join(folder, 'out', 'blobs', 'sha256'))).map(hex => `sha256:${hex}`)
    expect(blobs.sort()).toEqual(digestsOf(index))
    for (const digest of blobs) {
      expect(digestOf(await readFile(join(folder, 'out', 'blobs', ...digest.split(':'))))).toBe(digest)
    }
  })

  it('copies to a plain folder and back under another name', async () => {
    await copy(`docker://${node.host}/skopeo/index:v1`, `dir:${join(folder, 'dir')}`, '--all')
    expect((await readFile(join(folder, 'dir', 'manifest.json'))).equals(index.bytes)).toBe(true)
    await copy(`dir:${join(folder, 'dir')}`, `docker://${node.host}/skopeo/back:v1`, '--all')
    await validateImage(node.url, 'skopeo/back', 'v1', index)
  })

  it('copies between two nodes, by digest too', async () => {
    const { digest } = index.descriptor
    await copy(`docker://${node.host}/skopeo/index@${digest}`, `docker://${other.host}/far/index:v1`, '--all')
    await validateImage(other.url, 'far/index', digest, index)
  })

  it('converts to Docker’s formats and back', async () => {
    await copy(
      `docker://${node.host}/skopeo/index:v1`,
      `docker://${node.host}/skopeo/v2s2:v1`,
      '--all',
      '--format=v2s2'
    )
    const list = await inspect('--raw', `docker://${node.host}/skopeo/v2s2:v1`)
    expect(list.mediaType).toBe('application/vnd.docker.distribution.manifest.list.v2+json')
    expect(list.manifests).toHaveLength(2)
    await copy(`docker://${node.host}/skopeo/v2s2:v1`, `docker://${node.host}/skopeo/oci:v1`, '--all', '--format=oci')
    const oci = await inspect('--raw', `docker://${node.host}/skopeo/oci:v1`)
    expect(oci.mediaType).toBe('application/vnd.oci.image.index.v1+json')
  })

  it('pushes layers that it compresses while it sends them', async () => {
    await copy(
      `docker://${node.host}/skopeo/image:v1`,
      `docker://${node.host}/skopeo/zstd:v1`,
      '--dest-compress-format=zstd'
    )
    const archive = join(folder, 'archive.tar')
    await copy(`docker://${node.host}/skopeo/zstd:v1`, `docker-archive:${archive}:app:v1`)
    await copy(`docker-archive:${archive}`, `docker://${node.host}/skopeo/archive:v1`)
    expect((await inspect(`docker://${node.host}/skopeo/archive:v1`)).Layers).toHaveLength(2)
  })

  it('inspects', async () => {
    const seen = await inspect(`docker://${node.host}/skopeo/image:v1`)
    expect(seen).toMatchObject({ Digest: image.descriptor.digest, Os: 'linux', RepoTags: ['v1'] })
    expect(seen.Layers).toEqual(image.blobs.slice(1).map(blob => blob.descriptor.digest))
    const raw = await skopeo(['inspect', '--tls-verify=false', '--raw', `docker://${node.host}/skopeo/index:v1`])
    expect(raw.bytes.equals(index.bytes)).toBe(true)
    const config = await skopeo([
      'inspect',
      '--tls-verify=false',
      '--config',
      '--raw',
      `docker://${node.host}/skopeo/image:v1`
    ])
    expect(config.bytes.equals(image.blobs[0]?.bytes ?? Buffer.alloc(0))).toBe(true)
  })

  it('lists tags', async () => {
    for (const tag of ['b', 'a'])
      await copy(`docker://${node.host}/skopeo/image:v1`, `docker://${node.host}/skopeo/image:${tag}`)
    const listed = JSON.parse(
      (await skopeo(['list-tags', '--tls-verify=false', `docker://${node.host}/skopeo/image`])).stdout
    )
    expect(listed.Tags).toEqual(['a', 'b', 'v1'])
  })

  it('syncs a repository to another node and to a folder', async () => {
    await skopeo([
      ...['sync', '--all', '--src-tls-verify=false', '--dest-tls-verify=false', '--src', 'docker', '--dest', 'docker'],
      ...[`${node.host}/skopeo/index`, `${other.host}/mirror`]
    ])
    await validateImage(other.url, 'mirror/index', 'v1', index)
    await skopeo([
      'sync',
      '--all',
      '--src-tls-verify=false',
      '--src',
      'docker',
      '--dest',
      'dir',
      `${node.host}/skopeo/index:v1`,
      join(folder, 'synced')
    ])
    expect((await readFile(join(folder, 'synced', 'index:v1', 'manifest.json'))).equals(index.bytes)).toBe(true)
    await skopeo([
      'sync',
      '--all',
      '--dest-tls-verify=false',
      '--src',
      'dir',
      '--dest',
      'docker',
      join(folder, 'synced'),
      `${other.host}/again`
    ])
    await validateImage(other.url, 'again/index', 'v1', index)
  })

  it('syncs what a YAML file lists', async () => {
    const file = join(folder, 'sync.yml')
    await writeFile(file, JSON.stringify({ [node.host]: { 'tls-verify': false, images: { 'skopeo/image': ['v1'] } } }))
    await skopeo(['sync', '--dest-tls-verify=false', '--src', 'yaml', '--dest', 'docker', file, `${other.host}/listed`])
    await validateImage(other.url, 'listed/image', 'v1', image)
  })

  it('mounts the layers that another repository has', async () => {
    await copy(`docker://${node.host}/skopeo/image:v1`, `docker://${node.host}/skopeo/nothing:v1`)
    const requests = node
      .logs()
      .split('\n')
      .filter(line => line.includes('/v2/skopeo/nothing/blobs/uploads/'))
    // Layers by mounts, each a POST answered 201; skopeo sends a configuration in any case.
    expect(requests.filter(line => /method=POST .*status=201/.test(line))).toHaveLength(image.blobs.length - 1)
    expect(requests.filter(line => line.includes('method=PATCH'))).toHaveLength(1)
    await validateImage(node.url, 'skopeo/nothing', 'v1', image)
  })

  it('deletes', async () => {
    await copy(`docker://${node.host}/skopeo/image:v1`, `docker://${node.host}/skopeo/gone:v1`)
    await skopeo(['delete', '--tls-verify=false', `docker://${node.host}/skopeo/gone:v1`])
    expect((await ask(node.url, 'skopeo/gone/manifests/v1')).status).toBe(404)
    await expect(inspect(`docker://${node.host}/skopeo/gone:v1`)).rejects.toThrow(/manifest unknown/)
  })
})
