/**
 * `npm run soak -- gc`: how long garbage collection takes over a million blobs, and how much memory. The folder has
 * metadata only, as so many pushes would have written it, so what is measured is deciding, not unlinking files.
 *
 * PINNACE_GC_BLOBS: how many, default 1,000,000. PINNACE_GC_FOLDER: a folder that is kept and used again.
 */
import { access, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { CID } from 'multiformats/cid'
import { UnixfsDagBuilder } from '../../src/ipfs/dag-builder.ts'
import { keys } from '../../src/metadata/keys.ts'
import { openMetadata } from '../../src/metadata/open.ts'
import { encode } from '../../src/metadata/records.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { openRegistry } from '../../src/registry/index.ts'
import type { Log } from '../../src/registry/ports.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { manifestType } from './load/image.ts'

/** Of each image, its configuration among them; none is shared. */
const blobsAnImage = 5
/** Of each repository, each with a tag. */
const images = 1_000
const blobSize = 64
/** ms; what was pushed is older than any grace. */
const later = 30 * 24 * 3_600_000
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
const dags = new UnixfsDagBuilder()
/** Of every blob: garbage collection looks at it only when a blob goes. */
const root = CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')

async function main(): Promise<void> {
  const blobs = Number(process.env.PINNACE_GC_BLOBS ?? 1_000_000)
  const kept = process.env.PINNACE_GC_FOLDER
  const folder = kept ?? (await mkdtemp(join(tmpdir(), 'pinnace-gc-')))
  try {
    if (!(await isThere(join(folder, 'metadata')))) await fill(folder, blobs)
    await measure(folder)
  } finally {
    if (kept === undefined) await rm(folder, { recursive: true, force: true })
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false
  )
}

async function fill(folder: string, blobs: number): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'metadata')
  // Opened once by the program itself, which stamps the schema; then written to directly, a hundred times faster.
  await (await openMetadata(path)).close()
  const level = new Level<string, string>(path, { writeBufferSize: 64 * 1024 * 1024 })
  await level.open()
  const repositories = Math.ceil(blobs / (images * blobsAnImage))
  for (let repository = 0; repository < repositories; repository++) {
    const batch = level.batch()
    for (let image = 0; image < images; image++) {
      for (const [key, value] of imageOf(`stock/r${repository}`, image)) batch.put(key, value)
    }
    await batch.write()
  }
  await level.close()
  console.log(`filled with ${(repositories * images * blobsAnImage).toLocaleString('en')} blobs`)
}

function* imageOf(repository: string, image: number): Generator<[key: string, value: string]> {
  const at = Date.now()
  const digests = Array.from({ length: blobsAnImage }, (_, index) =>
    digestOf(Buffer.from(`${repository}/${image}/${index}`))
  )
  const bytes = manifestOf(digests)
  const digest = digestOf(bytes)
  for (const blob of digests) {
    yield [keys.blob(blob), encode.blob({ size: blobSize, root, dagSize: blobSize })]
    yield [keys.link(repository, blob), encode.link({ at }, blobSize)]
    yield [keys.holder(blob, repository), '']
    yield [keys.reference(repository, blob, digest), '']
  }
  yield [keys.manifest(digest), bytes.toString()]
  yield [keys.revision(repository, digest), encode.revision({ mediaType: manifestType, size: bytes.length, at })]
  yield [keys.holder(digest, repository), '']
  yield [keys.tag(repository, `v${image}`), encode.tag({ digest, at })]
  yield [keys.tagged(repository, digest, `v${image}`), '']
}

function manifestOf(digests: readonly Digest[]): Buffer {
  const [config, ...layers] = digests.map(digest => ({ mediaType: 'application/octet-stream', digest, size: blobSize }))
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers }))
}

async function measure(folder: string): Promise<void> {
  const storage = await openStorage(folder)
  const metadata = await openMetadata(join(folder, 'metadata'))
  const clock = { now: () => Date.now() + later }
  const components = { metadata, staging: storage.staging, files: storage.blobs, dags, clock, log: silent }
  const { registry, close } = await openRegistry(components)
  let highest = await ownMemory()
  const before = highest
  const sampler = setInterval(async () => {
    highest = Math.max(highest, await ownMemory())
  }, 100)
  try {
    const started = performance.now()
    const report = await registry.collectGarbage({ dryRun: process.env.PINNACE_GC_DRY_RUN === 'true' })
    const seconds = (performance.now() - started) / 1000
    console.log(`gc: ${seconds.toFixed(1)} s, memory ${megabytes(before)} before, ${megabytes(highest)} at most`)
    console.log(JSON.stringify(report))
  } finally {
    clearInterval(sampler)
    await close()
    await metadata.close()
    await storage.close()
  }
}

/** Bytes resident without the pages of mapped files: LevelDB maps its tables, and the system takes those back at will. */
async function ownMemory(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '')
  const [, kibibytes] = /^RssAnon:\s+(\d+) kB$/m.exec(status) ?? []
  return kibibytes === undefined ? process.memoryUsage.rss() : Number(kibibytes) * 1024
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`
}

await main()
