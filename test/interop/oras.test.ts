import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Descriptor, digestOf, type Image, imageOf, indexOf, readLayout, tarOf, writeLayout } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { ask, expectAsk, pushImage, validateImage } from './registry-api.ts'
import { describeWithTools, runTool } from './tools.ts'

interface Pushed {
  digest: string
  artifactType?: string
}

interface Referrer {
  digest: string
  artifactType: string
  referrers?: Referrer[]
}

describeWithTools(['oras'], 'oras', () => {
  let folder: string
  let node: Pinnace
  let other: Pinnace
  let image: Image
  const random = randomBytes(2 << 20)
  const plain = ['--plain-http', '--no-tty']
  const oras = async (command: string, ...args: string[]): Promise<string> =>
    (await runTool('oras', [...command.split(' '), ...args], { cwd: folder })).stdout
  const json = async <T>(command: string, ...args: string[]): Promise<T> =>
    JSON.parse(await oras(command, '--format', 'json', ...args))
  /** What the referrers API itself says. */
  const referrers = async (at: Pinnace, repository: string, digest: string, query = ''): Promise<Descriptor[]> => {
    const response = await expectAsk(at.url, `${repository}/referrers/${digest}${query}`, 200)
    const index: { manifests: Descriptor[] } = JSON.parse(await response.text())
    return index.manifests
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-oras-test-'))
    ;[node, other] = await Promise.all([startPinnace(), startPinnace()])
    image = imageOf([tarOf({ file: randomBytes(100_000) })])
    await pushImage(node.url, 'app', 'v1', image)
    await Promise.all([
      writeFile(join(folder, 'random.bin'), random),
      writeFile(join(folder, 'hello.txt'), 'hello\n'),
      writeFile(join(folder, 'empty.txt'), ''),
      writeFile(join(folder, 'sbom.json'), '{"spdxVersion":"SPDX-2.3"}'),
      writeFile(join(folder, 'signature.bin'), 'signed')
    ])
  })
  afterAll(async () => {
    await node?.close()
    await other?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('pushes an artifact of several files and pulls it', async () => {
    const reference = `${node.host}/artifact:v1`
    const files = ['random.bin:application/octet-stream', 'hello.txt:text/plain', 'empty.txt:text/plain']
    const pushed = await json<Pushed>(
      'push',
      ...plain,
      '--artifact-type',
      'application/vnd.test.files',
      reference,
      ...files
    )
    expect(pushed.artifactType).toBe('application/vnd.test.files')
    expect(await oras('resolve', '--plain-http', reference)).toBe(`${pushed.digest}\n`)
    await oras('pull', ...plain, '--output', join(folder, 'pulled'), reference)
    expect((await readFile(join(folder, 'pulled', 'random.bin'))).equals(random)).toBe(true)
    expect(await readFile(join(folder, 'pulled', 'hello.txt'), 'utf8')).toBe('hello\n')
    expect(await readFile(join(folder, 'pulled', 'empty.txt'), 'utf8')).toBe('')
  })

  it('pushes a folder and an artifact without any file', async () => {
    await mkdir(join(folder, 'tree', 'inner'), { recursive: true })
    await writeFile(join(folder, 'tree', 'inner', 'leaf'), 'leaf')
    await oras('push', ...plain, `${node.host}/artifact:tree`, 'tree')
    await oras('pull', ...plain, '--output', join(folder, 'untree'), `${node.host}/artifact:tree`)
    expect(await readFile(join(folder, 'untree', 'tree', 'inner', 'leaf'), 'utf8')).toBe('leaf')
    const bare = await json<Pushed>(
      'push',
      ...plain,
      '--artifact-type',
      'application/vnd.test.bare',
      `${node.host}/artifact:bare`
    )
    const manifest = JSON.parse(await oras('manifest fetch', '--plain-http', `${node.host}/artifact@${bare.digest}`))
    expect(manifest.layers).toHaveLength(1)
    expect(manifest.layers[0].mediaType).toBe('application/vnd.oci.empty.v1+json')
  })

  const attach = (type: string, ...args: string[]) =>
    json<Pushed>('attach', ...plain, '--distribution-spec', 'v1.1-referrers-api', '--artifact-type', type, ...args)

  it('attaches and discovers, of one type and to the second level', async () => {
    const sbom = await attach('application/vnd.test.sbom', `${node.host}/app:v1`, 'sbom.json:application/json')
    const signature = await attach('application/vnd.test.signature', `${node.host}/app:v1`, 'signature.bin')
    const ofSbom = await attach('application/vnd.test.signature', `${node.host}/app@${sbom.digest}`, 'signature.bin')

    const api = await referrers(node, 'app', image.descriptor.digest)
    expect(api.map(({ digest }) => digest).sort()).toEqual([sbom.digest, signature.digest].sort())
    const filtered = await ask(
      node.url,
      `app/referrers/${image.descriptor.digest}?artifactType=application/vnd.test.sbom`
    )
    expect(filtered.headers.get('oci-filters-applied')).toBe('artifactType')

    const only = ['--artifact-type', 'application/vnd.test.sbom']
    const found = await json<{ manifests?: Referrer[]; referrers?: Referrer[] }>(
      'discover',
      '--plain-http',
      ...only,
      `${node.host}/app:v1`
    )
    expect((found.referrers ?? found.manifests ?? []).map(({ digest }) => digest)).toEqual([sbom.digest])
    const tree = await oras('discover', '--plain-http', '--format', 'tree', `${node.host}/app:v1`)
    expect(tree).toContain(sbom.digest)
    expect(tree).toContain(ofSbom.digest)
    // Whoever has the referrers API leaves no fallback tag behind.
    expect(await oras('repo tags', '--plain-http', `${node.host}/app`)).toBe('v1\n')
  })

  it('copies an image with all its referrers to another node', async () => {
    await oras(
      'cp',
      '--no-tty',
      '-r',
      '--from-plain-http',
      '--to-plain-http',
      `${node.host}/app:v1`,
      `${other.host}/copy/app:v1,latest`
    )
    await validateImage(other.url, 'copy/app', 'latest', image)
    const [here, there] = await Promise.all([
      referrers(node, 'app', image.descriptor.digest),
      referrers(other, 'copy/app', image.descriptor.digest)
    ])
    expect(there).toHaveLength(2)
    expect(there.map(({ digest }) => digest).sort()).toEqual(here.map(({ digest }) => digest).sort())
    for (const { digest } of there) {
      expect(await referrers(other, 'copy/app', digest)).toEqual(await referrers(node, 'app', digest))
    }
  })

  it('copies out to an OCI layout with the referrers and into another repository', async () => {
    const layout = join(folder, 'layout')
    await oras('cp', '--no-tty', '-r', '--from-plain-http', '--to-oci-layout', `${node.host}/app:v1`, `${layout}:v1`)
    expect((await readLayout(layout)).map(({ digest }) => digest)).toContain(image.descriptor.digest)
    await oras(
      'cp',
      '--no-tty',
      '-r',
      '--from-oci-layout',
      '--to-plain-http',
      `${layout}:v1`,
      `${other.host}/back/app:v1`
    )
    expect(await referrers(other, 'back/app', image.descriptor.digest)).toHaveLength(2)
    await validateImage(other.url, 'back/app', 'v1', image)
  })

  it('pushes a referrer whose subject comes later', async () => {
    const later = imageOf([tarOf({ later: randomBytes(1000) })])
    const subject = {
      mediaType: later.descriptor.mediaType,
      digest: later.descriptor.digest,
      size: later.descriptor.size
    }
    const empty = Buffer.from('{}')
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      artifactType: 'application/vnd.test.early',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(empty), size: 2 },
      layers: [{ mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(empty), size: 2 }],
      subject
    }
    await writeFile(join(folder, 'early.json'), JSON.stringify(manifest))
    await writeFile(join(folder, 'empty.json'), empty)
    await oras('blob push', ...plain, `${node.host}/early@${digestOf(empty)}`, 'empty.json')
    await oras('manifest push', '--plain-http', `${node.host}/early:referrer`, 'early.json')
    expect(await referrers(node, 'early', subject.digest)).toHaveLength(1)
    await pushImage(node.url, 'early', 'v1', later)
    expect(await oras('discover', '--plain-http', `${node.host}/early:v1`)).toContain('application/vnd.test.early')
  })

  it('finds one platform of an index and pushes another index of it', async () => {
    const arm = imageOf([tarOf({ arm: randomBytes(1000) })], { platform: { os: 'linux', architecture: 'arm64' } })
    const amd = imageOf([tarOf({ amd: randomBytes(1000) })], { platform: { os: 'linux', architecture: 'amd64' } })
    const index = indexOf([amd, arm])
    await writeLayout(join(folder, 'multi'), { v1: index })
    await oras(
      'cp',
      '--no-tty',
      '--from-oci-layout',
      '--to-plain-http',
      `${join(folder, 'multi')}:v1`,
      `${node.host}/multi:v1`
    )
    const one = await oras('resolve', '--plain-http', '--platform', 'linux/arm64', `${node.host}/multi:v1`)
    expect(one.trim()).toBe(arm.descriptor.digest)
    const [first] = index.children
    await writeFile(join(folder, 'index.json'), indexOf(first === undefined ? [] : [first]).bytes)
    await oras('manifest push', '--plain-http', `${node.host}/multi:made`, 'index.json')
    const made = JSON.parse(await oras('manifest fetch', '--plain-http', `${node.host}/multi:made`))
    expect(made.manifests).toEqual([first?.descriptor])
  })

  it('tags, lists repositories and tags, and deletes a referrer from the list', async () => {
    await oras('tag', '--plain-http', `${node.host}/app:v1`, 'stable', 'edge')
    expect(await oras('repo tags', '--plain-http', `${node.host}/app`)).toBe('edge\nstable\nv1\n')
    expect((await oras('repo ls', '--plain-http', node.host)).split('\n')).toEqual(
      expect.arrayContaining(['app', 'artifact'])
    )
    const [first, second] = await referrers(node, 'app', image.descriptor.digest)
    await oras('manifest delete', '--plain-http', '--force', `${node.host}/app@${first?.digest}`)
    const left = await referrers(node, 'app', image.descriptor.digest)
    expect(left.map(({ digest }) => digest)).toEqual([second?.digest])
  })

  it('fetches, pushes and deletes blobs', async () => {
    const digest = digestOf(random)
    await oras('blob push', ...plain, `${node.host}/blobs`, 'random.bin')
    await oras('blob fetch', ...plain, '--output', join(folder, 'fetched'), `${node.host}/blobs@${digest}`)
    expect((await readFile(join(folder, 'fetched'))).equals(random)).toBe(true)
    await oras('blob delete', '--plain-http', '--force', `${node.host}/blobs@${digest}`)
    await expect(oras('blob fetch', '--plain-http', '--descriptor', `${node.host}/blobs@${digest}`)).rejects.toThrow(
      /not found/
    )
  })
})
