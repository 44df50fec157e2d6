import { RegistryError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import { type Descriptor, readManifest, referencedDescriptors } from '../oci/manifest.ts'
import { openRecord } from './blobs/open.ts'
import type { Registration } from './components.ts'
import { lookUpManifest } from './manifests/get.ts'
import { leafHashes } from './manifests/leaf-hashes.ts'
import type { AbortOptions } from './ports.ts'
import type { InspectedLayer, Inspection } from './registry.ts'

/** Bytes of a config that are read to be shown. */
const maxConfigSize = 4 * 1024 * 1024

/** Everything about one image: manifest, config, layers, and the CID of each. */
export async function inspect(
  registration: Registration,
  repository: string,
  reference: { tag: string } | { digest: Digest },
  options?: AbortOptions
): Promise<Inspection> {
  const reading = await lookUpManifest(registration, repository, reference, options)
  const { digest, mediaType, bytes, size } = reading
  const manifest = readManifest(bytes, mediaType)
  const own = registration.dags.file({ size, leaves: leafHashes(bytes) })
  const inspection: Inspection = {
    repository,
    digest,
    mediaType,
    size,
    cid: own.root.toString(),
    manifest: JSON.parse(Buffer.from(bytes).toString('utf8')),
    layers: await Promise.all(manifest.layers.map(layer => inspectBlob(registration, layer, options))),
    manifests: await Promise.all(
      manifest.manifests.map(child => inspectChild(registration, repository, child, options))
    )
  }
  if ('tag' in reference) inspection.tag = reference.tag
  if (reading.image !== undefined) inspection.imageCid = reading.image.toString()
  if (manifest.subject !== undefined) inspection.subject = manifest.subject
  if (manifest.config !== undefined) inspection.config = await inspectConfig(registration, manifest.config, options)
  return inspection
}

async function inspectBlob(
  registration: Registration,
  descriptor: Descriptor,
  options?: AbortOptions
): Promise<InspectedLayer> {
  const { mediaType, digest, size } = descriptor
  const record = await registration.metadata.blob(digest, options)
  if (record !== undefined) return { mediaType, digest, size, cid: record.root.toString() }
  const isLost = (await registration.metadata.loss('blob', digest, options)) !== undefined
  return { mediaType, digest, size, ...(isLost && { lost: true }) }
}

async function inspectChild(
  registration: Registration,
  repository: string,
  child: Descriptor,
  options?: AbortOptions
): Promise<Inspection['manifests'][number]> {
  const { mediaType, digest, size } = child
  const held = await registration.metadata.revision(repository, digest, options)
  const bytes = held === undefined ? undefined : await registration.metadata.manifestBytes(digest, options)
  const image = await registration.metadata.image(digest, options)
  return {
    ...(bytes === undefined
      ? await inspectAbsent(registration, child, held !== undefined, options)
      : {
          mediaType,
          digest,
          size,
          cid: registration.dags.file({ size: bytes.length, leaves: leafHashes(bytes) }).root.toString(),
          total: totalSize(bytes, held?.mediaType ?? mediaType)
        }),
    ...(child.platform === undefined ? {} : { platform: child.platform }),
    ...(image === undefined ? {} : { imageCid: image.root.toString() })
  }
}

function totalSize(bytes: Uint8Array, mediaType: string): number {
  return referencedDescriptors(readManifest(bytes, mediaType)).reduce((sum, { size }) => sum + size, bytes.length)
}

/** A child whose manifest is not here: lost, or a plain blob (BuildKit's cache lists those), or never pushed. */
async function inspectAbsent(
  registration: Registration,
  child: Descriptor,
  held: boolean,
  options?: AbortOptions
): Promise<InspectedLayer> {
  const { mediaType, digest, size } = child
  return held ? { mediaType, digest, size, lost: true } : await inspectBlob(registration, child, options)
}

async function inspectConfig(
  registration: Registration,
  config: Descriptor,
  options?: AbortOptions
): Promise<NonNullable<Inspection['config']>> {
  const content = await readJson(registration, config, options)
  const shown = await inspectBlob(registration, config, options)
  if (content === 'lost') return { mediaType: shown.mediaType, digest: shown.digest, size: shown.size, lost: true }
  return content === undefined ? shown : { ...shown, content: content.json }
}

/** The config as JSON, when it is there, small and JSON; artifacts have configs of any form. */
async function readJson(
  registration: Registration,
  descriptor: Descriptor,
  options?: AbortOptions
): Promise<{ json: unknown } | 'lost' | undefined> {
  const record = await registration.metadata.blob(descriptor.digest, options)
  if (record === undefined || record.size > maxConfigSize || !descriptor.mediaType.endsWith('json')) return undefined
  try {
    const reading = await openRecord(registration, descriptor.digest, record)
    try {
      const chunks: Buffer[] = []
      for await (const chunk of reading.read(undefined, options)) chunks.push(Buffer.from(chunk))
      return { json: JSON.parse(Buffer.concat(chunks).toString('utf8')) }
    } finally {
      await reading.close()
    }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    // A list of a hundred images is not to end at one config that rotted.
    if (error instanceof RegistryError && error.reason === 'CONTENT_CORRUPT') return 'lost'
    if (error instanceof RegistryError && error.reason === 'BLOB_UNKNOWN') return undefined
    throw error
  }
}
