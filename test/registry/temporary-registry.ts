import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UnixfsDagBuilder } from '../../src/ipfs/dag-builder.ts'
import { openMetadata } from '../../src/metadata/open.ts'
import { type Digest, type DigestAlgorithm, digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import type { RegistryComponents, RegistryInit } from '../../src/registry/components.ts'
import { openRegistry } from '../../src/registry/index.ts'
import type { BlobFiles, Log, MetadataStore, UploadStaging } from '../../src/registry/ports.ts'
import type { PutManifestResult, Registry } from '../../src/registry/registry.ts'
import { openStorage } from '../../src/storage/open-storage.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }

/** A registry on the real adapters in a folder of its own, and what tests do with one. */
export interface TemporaryRegistry {
  registry: Registry
  metadata: MetadataStore
  staging: UploadStaging
  files: BlobFiles
  folder: string
  /** Moves the registry's clock, ms. */
  advance(ms: number): void
  /** Closes everything and leaves the folder. */
  shut(): Promise<void>
  /** Closes everything and opens the same folder again. */
  reopen(): Promise<TemporaryRegistry>
  close(): Promise<void>
}

export async function openTemporaryRegistry(
  init: RegistryInit = {},
  folder?: string,
  skew = 0,
  more: Partial<RegistryComponents> = {}
): Promise<TemporaryRegistry> {
  const root = folder ?? (await mkdtemp(join(tmpdir(), 'pinnace-registry-')))
  let ahead = skew
  const storage = await openStorage(root)
  const metadata = await openMetadata(join(root, 'metadata'))
  const components = {
    metadata,
    staging: storage.staging,
    files: storage.blobs,
    dags: new UnixfsDagBuilder(),
    clock: { now: () => Date.now() + ahead },
    log: silent,
    ...more
  }
  const { registry, close } = await openRegistry(components, init)
  const shut = async () => {
    await close()
    await metadata.close()
    await storage.close()
  }
  return {
    registry,
    metadata,
    staging: storage.staging,
    files: storage.blobs,
    folder: root,
    advance: ms => {
      ahead += ms
    },
    shut,
    reopen: async () => {
      await shut()
      return openTemporaryRegistry(init, root, ahead, more)
    },
    close: async () => {
      await shut()
      await rm(root, { recursive: true, force: true })
    }
  }
}

export async function* chunks(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size)
}

export async function pushBlob(
  registry: Registry,
  repository: string,
  bytes: Uint8Array,
  algorithm: DigestAlgorithm = 'sha256'
): Promise<Digest> {
  const digest = digestOf(bytes, algorithm)
  const { id } = await registry.startUpload(repository, algorithm)
  await registry.finishUpload(repository, id, digest, { bytes: chunks(bytes) })
  return digest
}

/** Of a caller who may have blobs fetched. */
export const mayFetch = { demandFetch: () => undefined }

export async function pullBlob(
  registry: Registry,
  repository: string,
  digest: Digest,
  ...ranges: readonly { start: number; end: number }[]
): Promise<Buffer> {
  const reading = await registry.openBlob(repository, digest, mayFetch)
  try {
    const parts: Buffer[] = []
    for await (const chunk of reading.read(ranges.length === 0 ? undefined : ranges)) parts.push(Buffer.from(chunk))
    return Buffer.concat(parts)
  } finally {
    await reading.close()
  }
}

/** A repository that has a link and lost the bytes. */
export async function linkOnly(
  { registry, metadata, files }: Pick<TemporaryRegistry, 'registry' | 'metadata' | 'files'>,
  repository: string,
  bytes: Uint8Array
): Promise<Digest> {
  const lost = await pushBlob(registry, repository, bytes)
  await metadata.commit([{ type: 'deleteBlob', digest: lost }])
  await files.remove(lost)
  await metadata.removed(lost)
  return lost
}

/** An image manifest over blobs, as bytes. */
export function imageManifest(config: Uint8Array, layers: readonly Uint8Array[], more: object = {}): Buffer {
  const descriptor = (mediaType: string, bytes: Uint8Array) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length
  })
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: descriptor('application/vnd.oci.image.config.v1+json', config),
      layers: layers.map(layer => descriptor('application/vnd.oci.image.layer.v1.tar', layer)),
      ...more
    })
  )
}

export function indexManifest(children: readonly Uint8Array[], more: object = {}): Buffer {
  const manifests = children.map(bytes => ({
    mediaType: mediaTypes.ociManifest,
    digest: digestOf(bytes),
    size: bytes.length
  }))
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests, ...more }))
}

export function putManifest(
  registry: Registry,
  repository: string,
  bytes: Uint8Array,
  ...tags: string[]
): Promise<PutManifestResult> {
  return registry.putManifest(repository, { bytes, mediaType: '', tags })
}

/** A random image pushed whole. */
export async function pushImage(
  registry: Registry,
  repository: string,
  tag: string,
  layerSizes: readonly number[] = [5_000]
) {
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', random: randomBytes(8).toString('hex') })
  )
  const layers = layerSizes.map(size => randomBytes(size))
  for (const blob of [config, ...layers]) await pushBlob(registry, repository, blob)
  const manifest = imageManifest(config, layers)
  const put = await putManifest(registry, repository, manifest, tag)
  return { config, layers, manifest, digest: put.digest, image: put.image }
}
