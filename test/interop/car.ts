import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { UnixfsDagBuilder } from '../../src/ipfs/dag-builder.ts'

/** Blocks of a CARv1 by their CID, every one hashed. */
export function blocksOfCar(car: Uint8Array): Map<string, Uint8Array> {
  const blocks = new Map<string, Uint8Array>()
  const header = varintAt(car, 0)
  for (let at = header.end + header.value; at < car.byteLength; ) {
    const section = varintAt(car, at)
    const [cid, bytes] = CID.decodeFirst(car.subarray(section.end, section.end + section.value))
    if (!createHash('sha256').update(bytes).digest().equals(cid.multihash.digest)) throw new Error(`${cid} is corrupt`)
    blocks.set(cid.toString(), bytes)
    at = section.end + section.value
  }
  return blocks
}

/** Walks the DAG; an error where a block is missing. Gives how many blocks it has. */
export function completeness(root: string, blocks: ReadonlyMap<string, Uint8Array>): number {
  const dags = new UnixfsDagBuilder()
  const seen = new Set<string>()
  const left = [CID.parse(root)]
  for (let cid = left.pop(); cid !== undefined; cid = left.pop()) {
    const key = cid.toString()
    if (seen.has(key)) continue
    const bytes = blocks.get(key)
    if (bytes === undefined) throw new Error(`block ${key} is missing`)
    seen.add(key)
    left.push(...dags.links(cid, bytes).map(link => link.cid))
  }
  return seen.size
}

function varintAt(bytes: Uint8Array, start: number): { value: number; end: number } {
  let value = 0
  for (let at = start; ; at++) {
    const byte = bytes[at] ?? 0
    value += (byte & 0x7f) * 128 ** (at - start)
    if (byte < 0x80) return { value, end: at + 1 }
  }
}
