import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { UnixfsDagBuilder } from '../../src/ipfs/dag-builder.ts'
import { openMetadata } from '../../src/metadata/open.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { openRegistry } from '../../src/registry/index.ts'
import type { Log, MetadataStore, Mutation } from '../../src/registry/ports.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { blobPlace, storagePaths } from '../../src/storage/paths.ts'
import { manifestType } from './load/image.ts'

export interface Stock {
  repositories: number
  /** Of each repository, each tag an image of its own. */
  tags: number
  /** Of each image, its configuration among them; none is shared. */
  blobs: number
}

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
/** Bytes of a blob. */
const blobSize = 64

/**
 * Fills a data folder as so many pushes would, without their syncs: a start afterwards has the same to open. Calls
 * `advance` once a repository.
 */
export async function prepareFolder(
  folder: string,
  stock: Stock,
  advance: () => void,
  signal: AbortSignal
): Promise<void> {
  const storage = await openStorage(folder)
  const metadata = await openMetadata(join(folder, 'metadata'))
  const hasty = withoutSync(metadata)
  const dags = new UnixfsDagBuilder()
  const components = { metadata: hasty, staging: storage.staging, files: storage.blobs, dags, clock: Date, log: silent }
  const { registry, close } = await openRegistry(components)
  try {
    for (let index = 0; index < stock.repositories; index++) {
      signal.throwIfAborted()
      const repository = `stock/r${index}`
      const digests = await putBlobs(folder, repository, stock.tags * stock.blobs, { metadata: hasty, dags })
      for (let tag = 0; tag < stock.tags; tag++) {
        const bytes = manifestOf(digests.slice(tag * stock.blobs, (tag + 1) * stock.blobs))
        await registry.putManifest(repository, { bytes, mediaType: manifestType, tags: [`v${tag}`] })
      }
      advance()
    }
  } finally {
    await close()
    await metadata.close()
    await storage.close()
  }
}

async function putBlobs(
  folder: string,
  repository: string,
  count: number,
  { metadata, dags }: { metadata: MetadataStore; dags: UnixfsDagBuilder }
): Promise<Digest[]> {
  const paths = storagePaths(folder)
  const digests: Digest[] = []
  const mutations: Mutation[] = []
  for (let index = 0; index < count; index++) {
    const bytes = Buffer.alloc(blobSize, `${repository}/${index} `)
    const digest = digestOf(bytes)
    const { file } = blobPlace(paths, digest)
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(file, bytes, { mode: 0o600 })
    const { root, dagSize, blocks } = dags.file({ size: bytes.length, leaves: Buffer.from(digest.slice(7), 'hex') })
    mutations.push(
      { type: 'putBlob', digest, record: { size: bytes.length, root, dagSize }, uploadId: 'none' },
      { type: 'putBlocks', home: `blob:${digest}`, blocks },
      { type: 'putLink', repository, digest, record: { at: Date.now() } }
    )
    digests.push(digest)
  }
  await metadata.commit(mutations)
  for (const digest of digests) await metadata.placed(digest)
  return digests
}

function manifestOf(digests: readonly Digest[]): Buffer {
  const [config, ...layers] = digests.map(digest => ({ digest, size: blobSize }))
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: layers.map(layer => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...layer }))
  }
  return Buffer.from(JSON.stringify(manifest))
}

/** The same store, whose batches a power cut may take. */
function withoutSync(metadata: MetadataStore): MetadataStore {
  return new Proxy(metadata, {
    get(target, name) {
      if (name === 'commit') {
        const commit: MetadataStore['commit'] = (mutations, preconditions, options) =>
          target.commit(mutations, preconditions, { ...options, durable: false })
        return commit
      }
      const member: unknown = Reflect.get(target, name, target)
      return typeof member === 'function' ? member.bind(target) : member
    }
  })
}
