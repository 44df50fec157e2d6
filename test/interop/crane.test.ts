import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { busyboxLayer, digestsOf, type Image, imageOf, indexOf, readLayout, tarOf, writeLayout } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { ask } from './registry-api.ts'
import { describeWithTools, type RunOptions, runTool } from './tools.ts'

describeWithTools(['crane', 'busybox', 'tar'], 'crane', () => {
  let folder: string
  let node: Pinnace
  let other: Pinnace
  let image: Image
  let index: Image
  const crane = (args: readonly string[], options?: RunOptions) => runTool('crane', args, options)
  const lines = async (args: readonly string[]): Promise<string[]> =>
    (await crane(args)).stdout.split('\n').filter(line => line !== '')

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-crane-test-'))
    const started = await Promise.all([startPinnace(), startPinnace()])
    node = started[0]
    other = started[1]
    const base = await busyboxLayer()
    image = imageOf([base, tarOf({ 'etc/random': randomBytes(3 << 20) })])
    const arm = imageOf([tarOf({ 'etc/arm': randomBytes(1000) })], {
      platform: { os: 'linux', architecture: 'arm', variant: 'v7' }
    })
    index = indexOf([image, arm])
    await writeLayout(join(folder, 'image'), { v1: image })
    await writeLayout(join(folder, 'index'), { v1: index })
    await crane(['push', join(folder, 'image'), `${node.host}/app:v1`])
    await crane(['push', join(folder, 'index'), `${node.host}/multi:v1`])
  })
  afterAll(async () => {
    await node?.close()
    await other?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('pushes an image and an index whose digests stay what they were', async () => {
    expect((await crane(['digest', `${node.host}/app:v1`])).stdout.trim()).toBe(image.descriptor.digest)
    expect((await crane(['digest', `${node.host}/multi:v1`])).stdout.trim()).toBe(index.descriptor.digest)
    const arm = await crane(['digest', '--platform', 'linux/arm/v7', `${node.host}/multi:v1`])
    expect(arm.stdout.trim()).toBe(index.children[1]?.descriptor.digest)
  })

  it('validates every byte of them', async () => {
    const result = await crane(['validate', '--remote', `${node.host}/app:v1`])
    expect(result.stdout + result.stderr).toContain('PASS')
    const all = await crane(['validate', '--remote', `${node.host}/multi:v1`])
    expect(all.stdout + all.stderr).toContain('PASS')
  })

  it('reads manifests, configurations and blobs as they were pushed', async () => {
    expect((await crane(['manifest', `${node.host}/multi:v1`])).bytes.equals(index.bytes)).toBe(true)
    const [config, , layer] = image.blobs
    expect((await crane(['config', `${node.host}/app:v1`])).bytes.equals(config?.bytes ?? Buffer.alloc(0))).toBe(true)
    const hash = createHash('sha256')
    await crane(['blob', `${node.host}/app@${layer?.descriptor.digest}`], { output: hash })
    expect(`sha256:${hash.read().toString('hex')}`).toBe(layer?.descriptor.digest)
  })

  it('pulls layouts and archives', async () => {
    await crane(['pull', '--format=oci', `${node.host}/multi:v1`, join(folder, 'pulled')])
    const [pulled] = await readLayout(join(folder, 'pulled'))
    expect(pulled?.digest).toBe(index.descriptor.digest)
    for (const digest of digestsOf(index)) {
      const bytes = await readFile(join(folder, 'pulled', 'blobs', ...digest.split(':')))
      expect(`sha256:${createHash('sha256').update(bytes).digest('hex')}`).toBe(digest)
    }
    await crane(['pull', `${node.host}/app:v1`, join(folder, 'app.tar')])
    const result = await crane(['validate', '--tarball', join(folder, 'app.tar')])
    expect(result.stdout + result.stderr).toContain('PASS')
    await expect(crane(['pull', `${node.host}/app:absent`, join(folder, 'absent.tar')])).rejects.toThrow(
      /MANIFEST_UNKNOWN/
    )
  })

  it('copies between nodes and, by mounting, within one', async () => {
    await crane(['copy', `${node.host}/multi:v1`, `${other.host}/team/multi:copied`])
    expect((await crane(['digest', `${other.host}/team/multi:copied`])).stdout.trim()).toBe(index.descriptor.digest)
    await crane(['validate', '--remote', `${other.host}/team/multi:copied`])

    await crane(['copy', `${node.host}/multi:v1`, `${node.host}/elsewhere/multi:v1`])
    await crane(['validate', '--remote', `${node.host}/elsewhere/multi:v1`])
    // A mount is one POST answered 201; an upload would have been a 202 and a PATCH.
    const requests = node
      .logs()
      .split('\n')
      .filter(line => line.includes('/v2/elsewhere/multi/blobs/uploads/'))
    expect(requests.filter(line => /method=POST/.test(line) && /status=201/.test(line))).not.toEqual([])
    expect(requests.filter(line => /method=PATCH/.test(line))).toEqual([])
  })

  it('uploads no blob that is there already', async () => {
    await crane(['copy', `${node.host}/multi:v1`, `${other.host}/once:index`])
    await crane(['copy', `${node.host}/app:v1`, `${other.host}/once:image`])
    const uploads = other
      .logs()
      .split('\n')
      .filter(line => /method=PATCH .*\/v2\/once\/blobs/.test(line))
    // The image is in the index.
    expect(uploads).toHaveLength(index.children.flatMap(child => child.blobs).length)
  })

  it('appends a layer and mutates a configuration', async () => {
    await writeFile(join(folder, 'more.tar'), tarOf({ 'etc/more': Buffer.from('more\n') }))
    await crane(['append', '-b', `${node.host}/app:v1`, '-f', join(folder, 'more.tar'), '-t', `${node.host}/app:v2`])
    await crane(['mutate', '--label', 'a=b', `${node.host}/app:v2`, '-t', `${node.host}/app:v3`])
    await crane(['validate', '--remote', `${node.host}/app:v3`])
    const config = JSON.parse((await crane(['config', `${node.host}/app:v3`])).stdout)
    expect(config.config.Labels).toEqual({ a: 'b' })
    expect(config.rootfs.diff_ids).toHaveLength(3)
    const archive = await crane(['export', `${node.host}/app:v3`, '-'])
    const more = await runTool('tar', ['-xOf', '-', 'etc/more'], { input: archive.bytes })
    expect(more.stdout).toBe('more\n')
  })

  it('appends images to an index', async () => {
    await crane([
      ...['index', 'append', `${node.host}/multi:v1`, '-m', `${node.host}/app:v1`],
      ...['-t', `${node.host}/multi:more`]
    ])
    const manifest = JSON.parse((await crane(['manifest', `${node.host}/multi:more`])).stdout)
    expect(manifest.manifests.map((child: { digest: string }) => child.digest)).toEqual([
      ...index.children.map(child => child.descriptor.digest),
      image.descriptor.digest
    ])
    await crane(['validate', '--remote', `${node.host}/multi:more`])
  })

  it('lists tags and repositories, past one page', async () => {
    for (const tag of ['b', 'a', 'c']) await crane(['tag', `${node.host}/app:v1`, tag])
    const tags = await lines(['ls', `${node.host}/app`])
    expect(tags).toEqual(expect.arrayContaining(['a', 'b', 'c', 'v1']))
    expect(tags).toEqual([...tags].sort())
    expect(await lines(['catalog', node.host])).toEqual(expect.arrayContaining(['app', 'elsewhere/multi', 'multi']))
    // crane asks for 1000 at a time: more than that only through `Link`.
    const { digest } = image.descriptor
    const many = Array.from({ length: 1100 }, (_, n) => `t${String(n).padStart(4, '0')}`)
    for (let at = 0; at < many.length; at += 10) {
      const query = many
        .slice(at, at + 10)
        .map(tag => `tag=${tag}`)
        .join('&')
      const init = {
        method: 'PUT',
        headers: { 'Content-Type': image.descriptor.mediaType },
        body: image.bytes.toString()
      }
      expect((await ask(node.url, `app/manifests/${digest}?${query}`, init)).status).toBe(201)
    }
    expect((await lines(['ls', `${node.host}/app`])).filter(tag => /^t\d{4}$/.test(tag))).toEqual(many)
  })

  it('deletes by digest, and its tags go too', async () => {
    await crane(['copy', `${node.host}/app:v1`, `${node.host}/gone:v1`])
    await crane(['delete', `${node.host}/gone@${image.descriptor.digest}`])
    await expect(crane(['digest', `${node.host}/gone:v1`])).rejects.toThrow(/404/)
    // The same digest elsewhere is another repository's.
    await crane(['validate', '--remote', `${node.host}/app:v1`])
  })
})
