import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Containerd, startContainerd } from './containerd.ts'
import { busyboxLayer, type Image, imageOf, indexOf, tarOf } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { pushImage, validateImage } from './registry-api.ts'
import { describeWithTools } from './tools.ts'

describeWithTools(['containerd', 'ctr', 'umount', 'busybox', 'tar'], 'containerd', () => {
  let folder: string
  let node: Pinnace
  let containerd: Containerd
  let index: Image
  const ctr = async (...args: string[]): Promise<string> => (await containerd.ctr(args)).stdout
  const pull = (...args: string[]): Promise<string> => ctr('images', 'pull', '--plain-http', ...args)
  const push = (...args: string[]): Promise<string> => ctr('images', 'push', '--plain-http', ...args)
  const forget = async (...names: string[]): Promise<void> => {
    await ctr('images', 'rm', '--sync', ...names)
    expect((await ctr('images', 'ls', '--quiet')).split('\n')).not.toEqual(expect.arrayContaining(names))
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-ctr-test-'))
    ;[node, containerd] = await Promise.all([startPinnace(), startContainerd()])
    const host = imageOf([await busyboxLayer(), tarOf({ file: Buffer.from('host\n'), random: randomBytes(3 << 20) })])
    const foreign = imageOf([tarOf({ file: randomBytes(5000) })], {
      platform: { os: 'linux', architecture: 's390x' }
    })
    index = indexOf([foreign, host])
    await pushImage(node.url, 'app', 'v1', index)
  })
  afterAll(async () => {
    await containerd?.close()
    await node?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('pulls its platform of an index and runs it', async () => {
    const name = `${node.host}/app:v1`
    await pull(name)
    expect(await ctr('run', '--rm', name, 'first', '/bin/cat', '/file')).toBe('host\n')
    const blobs = (await ctr('content', 'ls', '--quiet')).split('\n')
    const [foreign, host] = index.children
    expect(blobs).toContain(host?.blobs.at(-1)?.descriptor.digest)
    expect(blobs).not.toContain(foreign?.blobs.at(-1)?.descriptor.digest)
    await forget(name)
  })

  it('pulls all platforms and pushes them under another name', async () => {
    const name = `${node.host}/app:v1`
    const copy = `${node.host}/copies/app:v2`
    await pull('--all-platforms', name)
    await ctr('images', 'tag', name, copy)
    await push(copy)
    await validateImage(node.url, 'copies/app', 'v2', index)
    await forget(name, copy)
    await pull('--all-platforms', copy)
    expect(await ctr('run', '--rm', copy, 'second', '/bin/cat', '/file')).toBe('host\n')
    await forget(copy)
  })

  it('pulls by digest', async () => {
    const name = `${node.host}/app@${index.descriptor.digest}`
    await pull(name)
    expect(await ctr('run', '--rm', name, 'third', '/bin/cat', '/file')).toBe('host\n')
    await forget(name)
  })

  it('imports a layout and pushes it', async () => {
    const exported = join(folder, 'exported.tar')
    const name = `${node.host}/app:v1`
    await pull('--all-platforms', name)
    await ctr('images', 'export', '--all-platforms', exported, name)
    await forget(name)
    await ctr('images', 'import', '--all-platforms', exported)
    await push(`${node.host}/imported/app:v1`, name)
    await validateImage(node.url, 'imported/app', 'v1', index)
    await forget(name)
  })

  it('says that a name is unknown', async () => {
    await expect(pull(`${node.host}/app:absent`)).rejects.toThrow(/not found/)
  })
})
