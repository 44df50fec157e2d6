import type { Authorize } from '../access/authorize.ts'
import { anonymous } from '../access/subject.ts'
import type { BlockSource } from '../ipfs/block-source.ts'
import type { Digest } from '../oci/digest.ts'
import { parseDigest } from '../oci/digest.ts'
import { isWholeIn } from '../registry/images/whole.ts'
import type { AbortOptions, BlobFiles, BlockHome, DagBuilder, MetadataStore } from '../registry/ports.ts'

export interface BlockSourceComponents {
  metadata: MetadataStore
  files: BlobFiles
  dags: DagBuilder
  authorize: Authorize
  /** Where a blob's file is. */
  blobPath(digest: Digest): string
}

/** Blocks as anonymous may see them: the index, the flat files, and the access rule asked for every block. */
export function createBlockSource(components: BlockSourceComponents): BlockSource {
  const { metadata } = components
  return {
    blockHomes: (multihash, options) => metadata.blockHomes(multihash, options),
    node: (multihash, options) => metadata.node(multihash, options),
    filePath: async home => (home.startsWith('blob:') ? components.blobPath(digestOfHome(home)) : undefined),
    readRange: (home, offset, length, options) => readRange(components, home, offset, length, options),
    mayServe: (home, options) => mayServe(components, home, options)
  }
}

/** Of blobs, whoever has their path reads by itself; this is for the moment in which a blob is not at its place. */
async function readRange(
  { metadata, files }: BlockSourceComponents,
  home: BlockHome,
  offset: number,
  length: number,
  options?: AbortOptions
): Promise<Uint8Array | undefined> {
  const digest = digestOfHome(home)
  if (home.startsWith('manifest:'))
    return (await metadata.manifestBytes(digest, options))?.subarray(offset, offset + length)
  const file = await files.open(digest)
  try {
    return await file?.pread(offset, length, options)
  } finally {
    await file?.close()
  }
}

async function mayServe(components: BlockSourceComponents, home: BlockHome, options?: AbortOptions): Promise<boolean> {
  const { metadata, authorize } = components
  const digest = digestOfHome(home)
  const open: string[] = []
  let closed = false
  for await (const repository of metadata.holders(digest, options)) {
    if (!authorize(anonymous, 'pull', repository)) closed = true
    else if (home.startsWith('image:')) open.push(repository)
    else return true
  }
  if (open.length === 0 || !closed) return open.length > 0
  // An image is kept while it is whole in one of its repositories. Where that is a private one, its directory names what
  // the public one may lack: layers of a platform that was left out.
  for (const repository of open) if (await isWholeIn(components, repository, digest, options)) return true
  return false
}

function digestOfHome(home: BlockHome): Digest {
  return parseDigest(home.slice(home.indexOf(':') + 1))
}
