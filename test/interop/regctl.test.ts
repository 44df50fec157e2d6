import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { digestOf, digestsOf, type Image, imageOf, indexOf, readLayout, tarOf, writeLayout } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { ask, expectAsk, getVerified, validateImage } from './registry-api.ts'
import { describeWithTools, type RunOptions, runTool } from './tools.ts'

describeWithTools(['regctl'], 'regctl', () => {
  let folder: string
  let node: Pinnace
  let other: Pinnace
  let image: Image
  let index: Image
  const run = (args: readonly string[], options?: RunOptions) => {
    const hosts = [node, other].flatMap(({ host }) => ['--host', `reg=${host},tls=disabled`])
    return runTool('regctl', [...hosts, ...args], { env: { REGCTL_CONFIG: join(folder, 'config.json') }, ...options })
  }
  const regctl = async (...args: string[]): Promise<string> => (await run(args)).stdout
  const lines = async (...args: string[]): Promise<string[]> =>
    (await regctl(...args)).split('\n').filter(line => line !== '')

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-regctl-test-'))
    ;[node, other] = await Promise.all([startPinnace(), startPinnace()])
    image = imageOf([tarOf({ first: randomBytes(3 << 20) }), tarOf({ second: randomBytes(1000) })])
    const arm = imageOf([tarOf({ arm: randomBytes(1000) })], { platform: { os: 'linux', architecture: 'arm64' } })
    index = indexOf([image, arm])
    await writeLayout(join(folder, 'layout'), { image, index })
    await regctl('image', 'copy', `ocidir://${join(folder, 'layout')}:image`, `${node.host}/app:v1`)
    await regctl('image', 'copy', `ocidir://${join(folder, 'layout')}:index`, `${node.host}/multi:v1`)
  })
  afterAll(async () => {
    await node?.close()
    await other?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('copies in from an OCI layout, byte for byte', async () => {
    await validateImage(node.url, 'app', 'v1', image)
    await validateImage(node.url, 'multi', 'v1', index)
    expect((await regctl('image', 'digest', `${node.host}/multi:v1`)).trim()).toBe(index.descriptor.digest)
    const one = await regctl('image', 'digest', '--platform', 'linux/arm64', `${node.host}/multi:v1`)
    expect(one.trim()).toBe(index.children[1]?.descriptor.digest)
  })

  const put = (subject: string, type: string, text: string) =>
    run(['artifact', 'put', '--artifact-type', type, '--subject', subject, '--file-media-type', 'text/plain'], {
      input: text,
      env: { REGCTL_CONFIG: join(folder, 'config.json') }
    })
  const list = async (reference: string, ...flags: string[]): Promise<string[]> =>
    await lines('artifact', 'list', '--format', '{{range .Descriptors}}{{println .Digest}}{{end}}', ...flags, reference)

  it('puts artifacts with a subject, lists, filters and gets them', async () => {
    const name = `${node.host}/multi:v1`
    await put(name, 'application/vnd.test.one', 'one')
    await put(name, 'application/vnd.test.two', 'two')
    // A referrer of one platform, and one of a referrer.
    await put(`${node.host}/multi@${image.descriptor.digest}`, 'application/vnd.test.platform', 'platform')
    const [first] = await list(name, '--filter-artifact-type', 'application/vnd.test.one')
    await put(`${node.host}/multi@${first}`, 'application/vnd.test.deep', 'deep')
    expect(await list(name)).toHaveLength(2)
    expect(await list(`${node.host}/multi@${image.descriptor.digest}`)).toHaveLength(1)
    expect(await regctl('artifact', 'get', `${node.host}/multi@${first}`)).toBe('one')
    const got = await regctl('artifact', 'get', '--subject', name, '--filter-artifact-type', 'application/vnd.test.two')
    expect(got).toBe('two')
    const tree = await regctl('artifact', 'tree', name)
    for (const type of ['one', 'two', 'platform', 'deep']) expect(tree).toContain(`application/vnd.test.${type}`)
  })

  it('copies an image with its referrers and digest tags to another node', async () => {
    const tag = `${index.descriptor.digest.replace(':', '-')}.sig`
    await regctl('image', 'copy', `${node.host}/app:v1`, `${node.host}/multi:${tag}`)
    const flags = ['--referrers', '--digest-tags']
    await regctl('image', 'copy', ...flags, `${node.host}/multi:v1`, `${other.host}/copy/multi:v1`)
    await validateImage(other.url, 'copy/multi', 'v1', index)
    await validateImage(other.url, 'copy/multi', tag, image)
    const subjects = [index.descriptor.digest, image.descriptor.digest]
    for (const subject of subjects) {
      const there = await list(`${other.host}/copy/multi@${subject}`)
      expect(there.length).toBeGreaterThan(0)
      expect(there.sort()).toEqual((await list(`${node.host}/multi@${subject}`)).sort())
    }
    const [first] = await list(`${other.host}/copy/multi:v1`, '--filter-artifact-type', 'application/vnd.test.one')
    expect(await list(`${other.host}/copy/multi@${first}`)).toHaveLength(1)
  })

  it('copies out to an OCI layout with everything', async () => {
    const out = join(folder, 'out')
    await regctl('image', 'copy', '--referrers', `${node.host}/multi:v1`, `ocidir://${out}:v1`)
    expect((await readLayout(out)).map(({ digest }) => digest)).toContain(index.descriptor.digest)
    await regctl('image', 'copy', '--referrers', `ocidir://${out}:v1`, `${node.host}/returned:v1`)
    await validateImage(node.url, 'returned', 'v1', index)
    expect(await list(`${node.host}/returned:v1`)).toHaveLength(2)
  })

  it('mounts within one node', async () => {
    await regctl('image', 'copy', `${node.host}/multi:v1`, `${node.host}/within/multi:v1`)
    await validateImage(node.url, 'within/multi', 'v1', index)
    const requests = node
      .logs()
      .split('\n')
      .filter(line => line.includes('/v2/within/multi/blobs/uploads/'))
    const mounts = requests.filter(line => /method=POST .*status=201/.test(line))
    expect(mounts).toHaveLength(index.children.flatMap(child => child.blobs).length)
    expect(requests.filter(line => !line.includes('method=POST'))).toEqual([])
  })

  it('lists and deletes tags, and leaves the manifest', async () => {
    for (const tag of ['c', 'a', 'b']) await regctl('image', 'copy', `${node.host}/app:v1`, `${node.host}/app:${tag}`)
    expect(await lines('tag', 'ls', `${node.host}/app`)).toEqual(['a', 'b', 'c', 'v1'])
    expect(await lines('tag', 'ls', '--limit', '2', '--last', 'a', `${node.host}/app`)).toEqual(['b', 'c'])
    await regctl('tag', 'delete', `${node.host}/app:b`)
    expect(await lines('tag', 'ls', `${node.host}/app`)).toEqual(['a', 'c', 'v1'])
    await validateImage(node.url, 'app', image.descriptor.digest, image)
    expect(await lines('repo', 'ls', node.host)).toEqual(expect.arrayContaining(['app', 'multi']))
  })

  it('puts, heads, gets and deletes blobs, and what it gets in part is that part', async () => {
    const bytes = randomBytes(5 << 20)
    const digest = digestOf(bytes)
    const file = join(folder, 'blob')
    await writeFile(file, bytes)
    const env = { REGCTL_CONFIG: join(folder, 'config.json') }
    await run(['blob', 'put', `${node.host}/blobs`], { input: bytes, env })
    const head = await regctl('blob', 'head', `${node.host}/blobs`, digest)
    expect(head).toMatch(new RegExp(`content-length: ${bytes.length}`, 'i'))
    expect(head).toMatch(/accept-ranges: bytes/i)
    const got = await run(['blob', 'get', `${node.host}/blobs`, digest])
    expect(got.bytes.equals(bytes)).toBe(true)
    // regctl asks for ranges only to go on after a cut, so the ranges themselves are asked for here.
    for (const [range, part] of [
      ['bytes=1048570-1048590', bytes.subarray(1_048_570, 1_048_591)],
      ['bytes=5242000-', bytes.subarray(5_242_000)],
      ['bytes=-3', bytes.subarray(-3)]
    ] as const) {
      const response = await expectAsk(node.url, `blobs/blobs/${digest}`, 206, { headers: { Range: range } })
      expect(Buffer.from(await response.arrayBuffer()).equals(part)).toBe(true)
    }
    await regctl('blob', 'delete', `${node.host}/blobs`, digest)
    await expect(run(['blob', 'head', `${node.host}/blobs`, digest])).rejects.toThrow(/not found/)
  })

  it('reads files inside layers', async () => {
    const layer = image.blobs[2]
    const bytes = await run(['blob', 'get-file', `${node.host}/app`, layer?.descriptor.digest ?? '', 'second'])
    expect(bytes.bytes).toHaveLength(1000)
    expect((await run(['image', 'get-file', `${node.host}/app:v1`, '/second'])).bytes.equals(bytes.bytes)).toBe(true)
  })

  it('modifies an image: annotation, layers, SHA-512', async () => {
    const annotated = ['image', 'mod', '--annotation', 'org.example.key=value', '--label', 'a=b']
    await regctl(...annotated, '--create', `${node.host}/multi:changed`, `${node.host}/multi:v1`)
    const manifest = JSON.parse(await regctl('manifest', 'get', '--format', 'raw-body', `${node.host}/multi:changed`))
    expect(manifest.annotations).toMatchObject({ 'org.example.key': 'value' })

    await regctl(
      'image',
      'mod',
      '--digest-algo',
      'sha512',
      '--create',
      `${node.host}/app:sha512`,
      `${node.host}/app:v1`
    )
    const digest = (await regctl('image', 'digest', `${node.host}/app:sha512`)).trim()
    expect(digest).toMatch(/^sha512:[0-9a-f]{128}$/)
    const response = await ask(node.url, `app/manifests/${digest}`, { headers: { Accept: '*/*' } })
    expect(response.headers.get('docker-content-digest')).toBe(digest)
    await regctl('image', 'copy', `${node.host}/app:sha512`, `${other.host}/app:sha512`)
    expect((await regctl('image', 'digest', `${other.host}/app:sha512`)).trim()).toBe(digest)
  })

  it('makes an index and changes it', async () => {
    await regctl('index', 'create', '--ref', `${node.host}/app:v1`, `${node.host}/made:v1`)
    const before = JSON.parse(await regctl('manifest', 'get', '--format', 'raw-body', `${node.host}/made:v1`))
    expect(before.manifests.map((child: { digest: string }) => child.digest)).toEqual([image.descriptor.digest])
    await regctl('index', 'add', '--ref', `${node.host}/multi:v1`, '--platform', 'linux/arm64', `${node.host}/made:v1`)
    const after = JSON.parse(await regctl('manifest', 'get', '--format', 'raw-body', `${node.host}/made:v1`))
    expect(after.manifests).toHaveLength(2)
  })

  it('exports and imports an archive', async () => {
    const archive = join(folder, 'archive.tar')
    await regctl('image', 'export', `${node.host}/multi:v1`, archive)
    await regctl('image', 'import', `${other.host}/imported:v1`, archive)
    await validateImage(other.url, 'imported', 'v1', index)
    for (const digest of digestsOf(image).filter(digest => digest !== image.descriptor.digest)) {
      await getVerified(other.url, `imported/blobs/${digest}`, digest)
    }
  })

  it('deletes a manifest', async () => {
    await regctl('manifest', 'delete', `${other.host}/imported@${index.descriptor.digest}`)
    expect((await ask(other.url, 'imported/manifests/v1')).status).toBe(404)
  })
})
