import { type Digest, digestOf, parseDigest } from '../../src/oci/digest.ts'

/** One entry of `fixtures/image-cid.json`, with its blobs made. */
export interface ImageVector {
  manifest: { digest: Digest; mediaType: string; size: number }
  /** Every file under `blobs/`, the manifest among them. */
  blobs: { digest: Digest; bytes: Uint8Array }[]
  /** Published root CIDs by digest (not of the generated layers). */
  roots: Record<string, string>
  imageCid: string
  dagSize: number
}

interface Entry {
  mediaType: string
  digest: string
  /** Text of every blob by digest. */
  blobs: Record<string, { text: string; root: string }>
  /** Layers left out of `blobs`: layer `n` of `count` is the text `layer <n>` and a line feed. */
  generated?: { count: number; manifest: { prefix: string; suffix: string; layerMediaType: string } }
  imageCid: string
  dagSize: number
}

export type VectorName = 'image' | 'index' | 'sha512' | 'sharded'

/** Reads the published vectors, making what they describe by rule. */
export function fixtureImages(json: string): Record<VectorName, ImageVector> {
  const { vectors }: { vectors: Record<VectorName, Entry> } = JSON.parse(json)
  return {
    image: vectorOf(vectors.image),
    index: vectorOf(vectors.index),
    sha512: vectorOf(vectors.sha512),
    sharded: vectorOf(vectors.sharded)
  }
}

export function generatedLayers(count: number): { digest: Digest; bytes: Uint8Array }[] {
  return Array.from({ length: count }, (_, index) => {
    const bytes = Buffer.from(`layer ${index}\n`)
    return { digest: digestOf(bytes), bytes }
  })
}

/** The manifest of a vector whose layers are generated: prefix, descriptors separated by commas, suffix. */
export function generatedManifest({ count, manifest }: NonNullable<Entry['generated']>): Uint8Array {
  const layers = generatedLayers(count).map(
    ({ digest, bytes }) => `{"mediaType":"${manifest.layerMediaType}","digest":"${digest}","size":${bytes.byteLength}}`
  )
  return Buffer.from(manifest.prefix + layers.join(',') + manifest.suffix)
}

function vectorOf(entry: Entry): ImageVector {
  const digest = parseDigest(entry.digest)
  const blobs = Object.entries(entry.blobs).map(([name, { text }]) => ({
    digest: parseDigest(name),
    bytes: Buffer.from(text)
  }))
  if (entry.generated !== undefined) {
    blobs.push(
      ...generatedLayers(entry.generated.count).map(({ digest, bytes }) => ({ digest, bytes: Buffer.from(bytes) }))
    )
    blobs.push({ digest, bytes: Buffer.from(generatedManifest(entry.generated)) })
  }
  const manifest = blobs.find(blob => blob.digest === digest)
  if (manifest === undefined) throw new Error(`no blob is the manifest ${digest}`)
  return {
    manifest: { digest, mediaType: entry.mediaType, size: manifest.bytes.byteLength },
    blobs,
    roots: Object.fromEntries(Object.entries(entry.blobs).map(([name, { root }]) => [name, root])),
    imageCid: entry.imageCid,
    dagSize: entry.dagSize
  }
}
