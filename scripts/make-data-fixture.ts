/**
 * Makes `test/fixtures/data-v1/`: a data folder as this version writes it, and what has to be in it. Run once a storage
 * layout or metadata schema, and kept: every later version must start on it (`test/data-v1.test.ts`).
 *
 *   node scripts/make-data-fixture.ts test/fixtures/data-v1
 */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Pinnace, startPinnace } from '../test/interop/node.ts'
import { runTool } from '../test/interop/run.ts'

/** What the test finds out about, each thing as it was when it was acknowledged. */
export interface DataFixture {
  /** Of the program that wrote the folder. */
  version: string
  layout: number
  schema: number
  peerId: string
  blobs: { repository: string; digest: string; size: number; path: string }[]
  manifests: { repository: string; digest: string; mediaType: string; path: string | null; tags: string[] }[]
  referrers: { repository: string; subject: string; digests: string[] }[]
  /** An upload that was under way: `received` bytes of `size` zeros came. */
  session: { location: string; received: number; size: number; digest: string }
}

const types = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar'
} as const

const mebibyte = 1024 * 1024

function digestOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
}

const describe = (mediaType: string, bytes: Uint8Array) => ({ mediaType, digest: digestOf(bytes), size: bytes.length })
const json = (value: object) => Buffer.from(JSON.stringify(value))

const config = json({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } })
const small = Buffer.from('A layer smaller than a leaf.\n')
/** Three leaves and a byte; zeros, so that the fixture stays small. */
const large = Buffer.alloc(3 * mebibyte + 1)
const leaf = Buffer.alloc(mebibyte, 'leaf')
const under512 = Buffer.from('Named by sha512.\n')
const empty = Buffer.alloc(0)

const imageOf = (layers: Buffer[], more: object = {}) =>
  json({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: describe(types.config, config),
    layers: layers.map(layer => describe(types.layer, layer)),
    ...more
  })
const image = imageOf([small, large])
const other = imageOf([leaf], { annotations: { 'org.opencontainers.image.title': 'other' } })
const index = json({
  schemaVersion: 2,
  mediaType: types.index,
  manifests: [image, other].map(bytes => describe(types.manifest, bytes))
})
const signature = imageOf([small], {
  subject: describe(types.manifest, image),
  artifactType: 'application/vnd.example.sig'
})
const early = imageOf([], { subject: describe(types.manifest, Buffer.from('never pushed')), artifactType: 'a/b' })
const unknown = Buffer.from('{ "of": "a type that nobody knows" }\n')
const unknownType = 'application/vnd.example.unknown+json'

class Pusher {
  readonly #url: string
  readonly fixture: Pick<DataFixture, 'blobs' | 'manifests'> = { blobs: [], manifests: [] }

  constructor(url: string) {
    this.#url = url
  }

  async request(path: string, status: number, init: RequestInit = {}): Promise<Response> {
    const response = await fetch(new URL(path, this.#url), init)
    if (response.status === status) return response
    throw new Error(`${init.method ?? 'GET'} ${path}: ${response.status} ${await response.text()}`)
  }

  async blob(repository: string, bytes: Buffer<ArrayBuffer>, algorithm: 'sha256' | 'sha512' = 'sha256'): Promise<void> {
    const digest = digestOf(bytes, algorithm)
    const target = `/v2/${repository}/blobs/uploads/?digest=${digest}`
    const { headers } = await this.request(target, 201, { method: 'POST', body: bytes })
    this.fixture.blobs.push({ repository, digest, size: bytes.length, path: headers.get('x-ipfs-path') ?? '' })
  }

  async manifest(repository: string, bytes: Buffer<ArrayBuffer>, mediaType: string, tags: string[]): Promise<void> {
    const digest = digestOf(bytes)
    const query = tags.map(tag => `tag=${tag}`).join('&')
    const init = { method: 'PUT', body: bytes, headers: { 'Content-Type': mediaType } }
    const { headers } = await this.request(`/v2/${repository}/manifests/${digest}?${query}`, 201, init)
    this.fixture.manifests.push({ repository, digest, mediaType, path: headers.get('x-ipfs-path'), tags })
  }
}

async function fill(node: Pinnace): Promise<Omit<DataFixture, 'version' | 'layout' | 'schema' | 'peerId'>> {
  const pusher = new Pusher(node.url)
  for (const bytes of [config, small, large, leaf, empty]) await pusher.blob('library/app', bytes)
  await pusher.blob('library/app', under512, 'sha512')
  for (const bytes of [config, leaf]) await pusher.blob('team/other', bytes)
  await pusher.manifest('library/app', image, types.manifest, ['v1', 'latest'])
  await pusher.manifest('library/app', other, types.manifest, [])
  await pusher.manifest('library/app', index, types.index, ['multi'])
  await pusher.manifest('library/app', signature, types.manifest, [])
  await pusher.manifest('library/app', early, types.manifest, ['early'])
  await pusher.manifest('team/other', other, types.manifest, ['other'])
  await pusher.manifest('team/other', unknown, unknownType, ['unknown'])
  // Something to remember that is gone: a tag, and a blob that no repository has any more.
  const gone = Buffer.from('Deleted before the folder was closed.\n')
  await pusher.request(`/v2/library/app/blobs/uploads/?digest=${digestOf(gone)}`, 201, { method: 'POST', body: gone })
  await pusher.request(`/v2/library/app/blobs/${digestOf(gone)}`, 202, { method: 'DELETE' })
  await pusher.request('/v2/library/app/manifests/latest', 202, { method: 'DELETE' })
  for (const { tags } of pusher.fixture.manifests) if (tags.includes('latest')) tags.splice(tags.indexOf('latest'), 1)
  // Tables and a log, as a folder has that lived through a restart.
  await node.restart()
  return {
    ...pusher.fixture,
    referrers: [
      { repository: 'library/app', subject: digestOf(image), digests: [digestOf(signature)] },
      { repository: 'library/app', subject: digestOf(Buffer.from('never pushed')), digests: [digestOf(early)] }
    ],
    session: await leaveSession(pusher)
  }
}

/** A session that the node is stopped in the middle of. */
async function leaveSession(pusher: Pusher): Promise<DataFixture['session']> {
  const whole = Buffer.alloc(2 * mebibyte + 12_345)
  const received = mebibyte + 777
  const post = await pusher.request('/v2/library/app/blobs/uploads/', 202, { method: 'POST' })
  const location = post.headers.get('location') ?? ''
  const headers = { 'Content-Range': `0-${received - 1}` }
  await pusher.request(location, 202, { method: 'PATCH', headers, body: whole.subarray(0, received) })
  return { location, received, size: whole.length, digest: digestOf(whole) }
}

async function main(target: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-fixture-'))
  const data = join(folder, 'data')
  try {
    const node = await startPinnace({ dataDir: data })
    const { peerId } = await node.id()
    const filled = await fill(node)
    await node.stop()
    const version = (await node.pinnace(['version'])).stdout.trim()
    await node.close()
    const layout = Number(await readFile(join(data, 'layout'), 'utf8'))
    const fixture: DataFixture = { version, layout, schema: 1, peerId, ...filled }
    // Who held the folder, and LevelDB's diary, are of the machine that wrote it.
    const without = ['./lock', './control.sock', 'LOG', 'LOG.old', 'LOCK'].map(name => `--exclude=${name}`)
    const sameForAll = ['--numeric-owner', '--owner=0', '--group=0', '--mtime=@0', '--sort=name']
    const tar = await runTool('tar', ['-C', data, ...without, ...sameForAll, '-cf', '-', '.'], {
      maxOutput: 64 * mebibyte
    })
    await mkdir(target, { recursive: true })
    await writeFile(join(target, 'data.tar.gz'), gzipSync(tar.bytes, { level: 9 }))
    await writeFile(join(target, 'expected.json'), `${JSON.stringify(fixture, null, 2)}\n`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const [target] = process.argv.slice(2)
if (target === undefined) throw new Error('usage: node scripts/make-data-fixture.ts FOLDER')
await main(target)
