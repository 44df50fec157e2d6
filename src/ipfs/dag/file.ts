import type { Dag } from '../../registry/ports.ts'
import { BlockSet, type Child, dagPbNode, rawCid } from './node.ts'
import { fileData } from './unixfs.ts'

/** Bytes of a leaf and links of a node in Kubo's `unixfs-v1-2025` profile (IPIP-499). */
export const leafSize = 1024 * 1024
export const maxLinks = 1024

const digestLength = 32

interface Part extends Child {
  /** Bytes of file content below. */
  fileSize: number
}

/**
 * A file's balanced DAG from the sha256 of its leaves. Work and memory are per leaf (100,000 for 100 GB), never per byte.
 *
 * @throws {TypeError} the number of leaf hashes does not fit the size
 */
export function fileDag(content: { size: number; leaves: Uint8Array }): Dag {
  const blocks = new BlockSet()
  let level = leafParts(content, blocks)
  while (level.length > 1) {
    const parents: Part[] = []
    for (let start = 0; start < level.length; start += maxLinks) {
      parents.push(parentOf(level.slice(start, start + maxLinks), blocks))
    }
    level = parents
  }
  const [root] = level
  if (root === undefined) throw new TypeError('a file has at least one leaf')
  return { root: root.cid, dagSize: root.dagSize, blocks: blocks.entries }
}

function leafParts({ size, leaves }: { size: number; leaves: Uint8Array }, blocks: BlockSet): Part[] {
  const count = Math.max(1, Math.ceil(size / leafSize))
  if (leaves.byteLength !== count * digestLength) {
    throw new TypeError(`${size} bytes have ${count} leaves, got ${leaves.byteLength / digestLength} hashes`)
  }
  const parts: Part[] = []
  for (let index = 0; index < count; index++) {
    const offset = index * leafSize
    const length = Math.min(leafSize, size - offset)
    const cid = rawCid(leaves.subarray(index * digestLength, (index + 1) * digestLength))
    blocks.add({ multihash: cid.multihash.bytes, place: { kind: 'range', offset, length } })
    parts.push({ cid, dagSize: length, fileSize: length })
  }
  return parts
}

function parentOf(children: Part[], blocks: BlockSet): Part {
  const node = dagPbNode(
    fileData(children.map(child => child.fileSize)),
    children.map(child => ({ Hash: child.cid, Name: '', Tsize: child.dagSize }))
  )
  blocks.add(node.entry)
  return {
    cid: node.cid,
    dagSize: node.dagSize,
    fileSize: children.reduce((sum, child) => sum + child.fileSize, 0)
  }
}
