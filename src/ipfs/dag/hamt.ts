import type { PBLink } from '@ipld/dag-pb'
import { murmur364 } from '@multiformats/murmur3'
import { RegistryError } from '../../errors.ts'
import { type BlockSet, type Child, dagPbNode } from './node.ts'
import { shardData } from './unixfs.ts'

const fanout = 256

interface Hashed {
  link: PBLink & { Name: string }
  /** 64 bits of murmur3 of the name; with a fanout of 256 each level of the trie takes one byte. */
  hash: Uint8Array
}

/** A HAMT-sharded directory, fanout 256 and murmur3-x64-64 as everywhere in UnixFS. */
export async function hamtDag(links: readonly PBLink[], blocks: BlockSet): Promise<Child> {
  const encoder = new TextEncoder()
  const entries: Hashed[] = []
  for (const link of links) {
    const Name = link.Name ?? ''
    entries.push({ link: { ...link, Name }, hash: await murmur364.encode(encoder.encode(Name)) })
  }
  return shard(entries, 0, blocks)
}

function shard(entries: readonly Hashed[], level: number, blocks: BlockSet): Child {
  const slots = new Map<number, Hashed[]>()
  for (const entry of entries) {
    const slot = entry.hash[level]
    if (slot === undefined) throw new RegistryError('MANIFEST_INVALID', { message: 'sharded directory too deep' })
    const there = slots.get(slot)
    if (there === undefined) slots.set(slot, [entry])
    else there.push(entry)
  }
  const links: PBLink[] = []
  for (const slot of [...slots.keys()].sort((a, b) => a - b)) {
    links.push(slotLink(slot, slots.get(slot) ?? [], level, blocks))
  }
  const node = dagPbNode(shardData(bitfield(slots), fanout), links)
  blocks.add(node.entry)
  return { cid: node.cid, dagSize: node.dagSize }
}

function slotLink(slot: number, entries: readonly Hashed[], level: number, blocks: BlockSet): PBLink {
  const prefix = slot.toString(16).toUpperCase().padStart(2, '0')
  const [only, second] = entries
  if (only !== undefined && second === undefined) return { ...only.link, Name: prefix + only.link.Name }
  const child = shard(entries, level + 1, blocks)
  return { Hash: child.cid, Name: prefix, Tsize: child.dagSize }
}

/** Bit `n` set for slot `n`, big-endian, leading zero bytes left out as Go's bitfield does. */
function bitfield(slots: ReadonlyMap<number, unknown>): Uint8Array {
  const bytes = new Uint8Array(fanout / 8)
  for (const slot of slots.keys()) {
    const index = bytes.length - 1 - (slot >> 3)
    bytes[index] = (bytes[index] ?? 0) | (1 << (slot & 7))
  }
  return bytes.subarray(bytes.findIndex(byte => byte !== 0))
}
