import { createHash } from 'node:crypto'
import { encode, type PBLink } from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'
import type { BlockEntry } from '../../registry/ports.ts'

const dagPb = 0x70
const sha256 = 0x12

/** A DAG by its root, as a parent links to it. */
export interface Child {
  cid: CID
  /** `Tsize` of a link to it: bytes of every block below and including the root, each as often as it is linked. */
  dagSize: number
}

export function rawCid(digest: Uint8Array): CID {
  return CID.createV1(raw.code, createMultihash(sha256, digest))
}

function hash(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}

/** A dag-pb block with UnixFS `Data`. Links are written in the order given: sort names before (files have none). */
export function dagPbNode(data: Uint8Array, links: PBLink[]): Child & { entry: BlockEntry } {
  const bytes = encode({ Data: data, Links: links })
  const cid = CID.createV1(dagPb, createMultihash(sha256, hash(bytes)))
  const dagSize = links.reduce((sum, link) => sum + (link.Tsize ?? 0), bytes.byteLength)
  return { cid, dagSize, entry: nodeEntry(cid, bytes) }
}

/** A raw block of bytes that no file holds. */
export function rawNode(bytes: Uint8Array): Child & { entry: BlockEntry } {
  const cid = rawCid(hash(bytes))
  return { cid, dagSize: bytes.byteLength, entry: nodeEntry(cid, bytes) }
}

function nodeEntry(cid: CID, bytes: Uint8Array): BlockEntry {
  return { multihash: cid.multihash.bytes, place: { kind: 'node', length: bytes.byteLength }, bytes }
}

/** Blocks of one DAG, each multihash once: equal chunks and equal nodes are one block. */
export class BlockSet {
  readonly entries: BlockEntry[] = []
  readonly #seen = new Set<string>()

  add(entry: BlockEntry): void {
    const key = Buffer.from(entry.multihash.buffer, entry.multihash.byteOffset, entry.multihash.byteLength).toString(
      'latin1'
    )
    if (this.#seen.has(key)) return
    this.#seen.add(key)
    this.entries.push(entry)
  }
}
