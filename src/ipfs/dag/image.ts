import { algorithmOf, type Digest, encodedOf } from '../../oci/digest.ts'
import type { Dag, ImageMember } from '../../registry/ports.ts'
import { directoryDag } from './directory.ts'
import { BlockSet, type Child, rawNode } from './node.ts'

export interface ImageManifest {
  digest: Digest
  mediaType: string
  size: number
}

const encoder = new TextEncoder()

/** Bytes of `oci-layout`. Frozen: image CIDs depend on them. */
export const ociLayout = '{"imageLayoutVersion":"1.0.0"}'

/** Bytes of `index.json`. Frozen: key order, no white space, no annotations. */
export function indexJson({ mediaType, digest, size }: ImageManifest): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [{ mediaType, digest, size }]
  })
}

/**
 * The image directory of a manifest, in OCI image-layout form. Blocks are the directory's own: what its members consist
 * of is indexed with them.
 *
 * @throws {RegistryError} MANIFEST_INVALID from {@link directoryDag}
 */
export async function imageDag(manifest: ImageManifest, members: readonly ImageMember[]): Promise<Dag> {
  const blocks = new BlockSet()
  const algorithms = new Map<string, Map<string, Child>>()
  for (const { digest, root, dagSize } of members) {
    const algorithm = algorithmOf(digest)
    const files = algorithms.get(algorithm) ?? new Map<string, Child>()
    algorithms.set(algorithm, files.set(encodedOf(digest), { cid: root, dagSize }))
  }
  const folders = new Map<string, Child>()
  for (const [algorithm, files] of algorithms) folders.set(algorithm, await directoryDag(files, blocks))
  const root = await directoryDag(
    new Map([
      ['blobs', await directoryDag(folders, blocks)],
      ['index.json', small(indexJson(manifest), blocks)],
      ['oci-layout', small(ociLayout, blocks)]
    ]),
    blocks
  )
  return { root: root.cid, dagSize: root.dagSize, blocks: blocks.entries }
}

function small(text: string, blocks: BlockSet): Child {
  const node = rawNode(encoder.encode(text))
  blocks.add(node.entry)
  return node
}
