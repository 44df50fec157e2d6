import { createHash } from 'node:crypto'
import { MemoryBlockstore } from 'blockstore-core'
import { UnixFS } from 'ipfs-unixfs'
import { type ImporterOptions, importer } from 'ipfs-unixfs-importer'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createMultihash } from 'multiformats/hashes/digest'

/** What the IPFS project's own importer makes of files and folders, to hold a `DagBuilder` against. */

export const MiB = 1024 * 1024

export function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest()
}

/** Hashes of the 1 MiB leaves of bytes in memory. */
export function leavesOf(bytes: Uint8Array): Uint8Array {
  const hashes: Uint8Array[] = []
  for (let at = 0; at === 0 || at < bytes.byteLength; at += MiB) hashes.push(sha256(bytes.subarray(at, at + MiB)))
  return Buffer.concat(hashes)
}

/** Hashes that stand for leaves nobody has to make: enough to decide every byte of the nodes above. */
export function leavesFor(size: number, seed: number): Uint8Array {
  const count = Math.max(1, Math.ceil(size / MiB))
  return Buffer.concat(Array.from({ length: count }, (_, index) => sha256(Buffer.from(`${seed}/${index}`))))
}

export interface Reference {
  root: CID
  dagSize: number
  /** Blocks the importer wrote, by the hex of their multihash. */
  nodes: Map<string, Uint8Array>
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

async function nodesOf(blocks: MemoryBlockstore): Promise<Map<string, Uint8Array>> {
  const nodes = new Map<string, Uint8Array>()
  for await (const { cid, bytes } of blocks.getAll()) {
    const chunks: Uint8Array[] = []
    for await (const chunk of bytes) chunks.push(chunk)
    nodes.set(hexOf(cid.multihash.bytes), Buffer.concat(chunks))
  }
  return nodes
}

/** What the IPFS project's own importer makes of a file with these leaves. */
export async function importFile(size: number, leaves: Uint8Array): Promise<Reference> {
  const blocks = new MemoryBlockstore()
  const options: ImporterOptions = {
    profile: 'unixfs-v1-2025',
    bufferImporter: async function* () {
      for (let index = 0; index * 32 < leaves.byteLength; index++) {
        const length = Math.min(MiB, size - index * MiB)
        const cid = CID.createV1(raw.code, createMultihash(0x12, leaves.subarray(index * 32, (index + 1) * 32)))
        const block = new Uint8Array(0)
        yield async () => ({ cid, unixfs: new UnixFS({ type: 'raw' }), size: BigInt(length), block })
      }
    }
  }
  for await (const entry of importer([{ path: 'file', content: new Uint8Array(1) }], blocks, options)) {
    return { root: entry.cid, dagSize: Number(entry.size), nodes: await nodesOf(blocks) }
  }
  throw new Error('the importer gave nothing')
}

export async function importFolder(files: { path: string; content: Uint8Array }[]): Promise<Reference> {
  const blocks = new MemoryBlockstore()
  let last: { cid: CID; size: bigint } | undefined
  const options: ImporterOptions = { profile: 'unixfs-v1-2025', wrapWithDirectory: true }
  for await (const entry of importer(files, blocks, options)) last = entry
  if (last === undefined) throw new Error('the importer gave nothing')
  return { root: last.cid, dagSize: Number(last.size), nodes: await nodesOf(blocks) }
}
