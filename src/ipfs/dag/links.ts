import { code as dagPb, decode } from '@ipld/dag-pb'
import type { CID } from 'multiformats/cid'
import { blockSizesOf } from './unixfs.ts'

/** A link of an inner node. */
export interface DagLink {
  multihash: Uint8Array
  cid: CID
  /** Bytes of file content below; 0 under a directory, which does not record it. */
  size: number
}

/** Links of a node in order; none for a leaf. */
export function dagLinks(root: CID, node: Uint8Array): DagLink[] {
  if (root.code !== dagPb) return []
  const { Data, Links } = decode(node)
  const sizes = Data === undefined ? [] : blockSizesOf(Data)
  return Links.map((link, index) => ({
    multihash: link.Hash.multihash.bytes,
    cid: link.Hash,
    size: sizes[index] ?? 0
  }))
}
