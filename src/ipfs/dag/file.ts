import type { BlockEntry, Dag } from '../../registry/ports.ts'
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
 * A file's balanced DAG from the sha256 of its leaves. Work is per leaf (100,000 for 100 GB), never per byte; kept are the
 * inner nodes only. Its blocks are made as they are asked for: equal leaves come as often as the file has them.
 *
 * @throws {TypeError} the number of leaf hashes does not fit the size
 */
export function fileDag(content: { size: number; leaves: Uint8Array }): Dag {
  const { size, leaves } = content
  const count = Math.max(1, Math.ceil(size / leafSize))
  if (leaves.byteLength !== count * digestLength) {
    throw new TypeError(`${size} bytes have ${count} leaves, got ${leaves.byteLength / digestLength} hashes`)
  }
  const nodes = new BlockSet()
  let level = count === 1 ? [...leafParts(content)] : parentsOf(leafParts(content), nodes)
  while (level.length > 1) level = parentsOf(level, nodes)
  const [root] = level
  if (root === undefined) throw new TypeError('a file has at least one leaf')
  return { root: root.cid, dagSize: root.dagSize, blocks: { [Symbol.iterator]: () => blocksOf(content, nodes) } }
}

function* blocksOf(content: { size: number; leaves: Uint8Array }, nodes: BlockSet): Generator<BlockEntry> {
  let offset = 0
  for (const { cid, fileSize: length } of leafParts(content)) {
    yield { multihash: cid.multihash.bytes, place: { kind: 'range', offset, length } }
    offset += length
  }
  yield* nodes.entries
}

function* leafParts({ size, leaves }: { size: number; leaves: Uint8Array }): Generator<Part> {
  for (let at = 0; at < leaves.byteLength; at += digestLength) {
    const length = Math.min(leafSize, size - (at / digestLength) * leafSize)
    yield { cid: rawCid(leaves.subarray(at, at + digestLength)), dagSize: length, fileSize: length }
  }
}

function parentsOf(parts: Iterable<Part>, nodes: BlockSet): Part[] {
  const parents: Part[] = []
  let children: Part[] = []
  for (const part of parts) {
    children.push(part)
    if (children.length < maxLinks) continue
    parents.push(parentOf(children, nodes))
    children = []
  }
  if (children.length > 0) parents.push(parentOf(children, nodes))
  return parents
}

function parentOf(children: Part[], nodes: BlockSet): Part {
  const node = dagPbNode(
    fileData(children.map(child => child.fileSize)),
    children.map(child => ({ Hash: child.cid, Name: '', Tsize: child.dagSize }))
  )
  nodes.add(node.entry)
  return {
    cid: node.cid,
    dagSize: node.dagSize,
    fileSize: children.reduce((sum, child) => sum + child.fileSize, 0)
  }
}
