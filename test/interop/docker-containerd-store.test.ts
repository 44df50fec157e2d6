import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Dockerd, startDockerd } from './dockerd.ts'
import { busyboxLayer, type Image, imageOf, indexOf, tarOf } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { pushImage, validateImage } from './registry-api.ts'
import { describeWithTools } from './tools.ts'

const tools = ['moby', 'containerd', 'ctr', 'docker', 'umount', 'busybox', 'tar'] as const

describeWithTools(tools, 'the Docker engine with the containerd image store', () => {
  let engine: Dockerd
  let node: Pinnace
  let image: Image

  const docker = async (...args: string[]): Promise<string> => (await engine.docker(args)).stdout
  /** Removes every image, so that nothing but the registry can supply it. */
  const forget = async (): Promise<void> => {
    const ids = (await docker('images', '--all', '--quiet')).split('\n').filter(id => id !== '')
    if (ids.length > 0) await docker('rmi', '--force', ...new Set(ids))
    expect(await docker('images', '--quiet')).toBe('')
  }
  const digestOfPull = async (name: string): Promise<string | undefined> =>
    /^Digest: (sha256:\w+)$/m.exec(await docker('pull', name))?.[1]

  beforeAll(async () => {
    ;[engine, node] = await Promise.all([startDockerd({ imageStore: 'containerd' }), startPinnace()])
    image = imageOf([await busyboxLayer(), tarOf({ random: randomBytes(3 << 20) })])
    await pushImage(node.url, 'app', 'v1', image)
  })
  afterAll(async () => {
    await engine?.close()
    await node?.close()
  })

  it('is the store under test', async () => {
    expect(await docker('info', '--format', '{{.Driver}} {{.DriverStatus}}')).toMatch(
      /^native .*io\.containerd\.snapshotter\.v1/
    )
  })

  it('pulls by tag, and pushes the same bytes to another repository', async () => {
    expect(await digestOfPull(`${node.host}/app:v1`)).toBe(image.descriptor.digest)
    await docker('tag', `${node.host}/app:v1`, `${node.host}/copies/app:v2`)
    const push = await docker('push', `${node.host}/copies/app:v2`)
    expect(push).toContain(`digest: ${image.descriptor.digest} `)
    await validateImage(node.url, 'copies/app', 'v2', image)
  })

  it('pulls by digest', async () => {
    await forget()
    const name = `${node.host}/copies/app@${image.descriptor.digest}`
    expect(await digestOfPull(name)).toBe(image.descriptor.digest)
    const inspected = await docker('image', 'inspect', '--format', '{{index .RepoDigests 0}}', name)
    expect(inspected.trim()).toBe(name)
  })

  it('pulls its platform of an index, and keeps the digest of the index', async () => {
    await forget()
    const foreign = imageOf([tarOf({ file: randomBytes(5000) })], { platform: { os: 'linux', architecture: 's390x' } })
    const index = indexOf([foreign, image])
    await pushImage(node.url, 'multi', 'v1', index)
    expect(await digestOfPull(`${node.host}/multi:v1`)).toBe(index.descriptor.digest)
  })

  it('pushes what it was given, forgets it and pulls it', async () => {
    const name = `${node.host}/local:v1`
    await engine.importBusybox(name)
    const digest = / digest: (sha256:[0-9a-f]{64}) /.exec(await docker('push', name))?.[1]
    expect(digest).toBeDefined()
    await forget()
    expect(await digestOfPull(name)).toBe(digest)
  })

  it('says that a name is unknown', async () => {
    await expect(docker('pull', `${node.host}/app:absent`)).rejects.toThrow(/not found|manifest unknown/)
  })
})
