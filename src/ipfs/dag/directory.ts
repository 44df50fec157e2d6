import type { PBLink } from '@ipld/dag-pb'
import { hamtDag } from './hamt.ts'
import { type BlockSet, type Child, dagPbNode } from './node.ts'
import { directoryData } from './unixfs.ts'

/**
 * Largest directory block, bytes, that stays one block. Kubo under `unixfs-v1-2025` shards when the serialized block
 * would be larger (`UnixFSHAMTDirectorySizeThreshold` 256 KiB, estimation `block`, IPIP-499), not when it is equal.
 */
export const shardingThreshold = 256 * 1024

/**
 * A UnixFS directory, plain or HAMT-sharded as its size asks for; the result does not depend on the order of entries.
 *
 * @throws {RegistryError} MANIFEST_INVALID when two names cannot be told apart by the HAMT's hash
 */
export async function directoryDag(entries: ReadonlyMap<string, Child>, blocks: BlockSet): Promise<Child> {
  const links: PBLink[] = [...entries]
    .map(([name, child]) => ({ Hash: child.cid, Name: name, Tsize: child.dagSize }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.Name), Buffer.from(b.Name)))
  const plain = dagPbNode(directoryData(), links)
  if (plain.entry.place.length > shardingThreshold) return await hamtDag(links, blocks)
  blocks.add(plain.entry)
  return { cid: plain.cid, dagSize: plain.dagSize }
}
