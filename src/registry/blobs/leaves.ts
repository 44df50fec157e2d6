import type { CID } from 'multiformats/cid'
import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions, BlobRecord, ByteRange } from '../ports.ts'

/** Bytes of a leaf under `unixfs-v1-2025`. */
export const leafSize = 1024 * 1024

/** Multicodec of a raw block. */
const rawCodec = 0x55

/** One leaf of a blob: its bytes are `[offset, offset + length)` of the flat file. */
export interface Leaf {
  multihash: Uint8Array
  offset: number
  length: number
}

/** The leaves that cover a range, in order, read from the stored inner nodes. @throws {RegistryError} CONTENT_CORRUPT */
export function leavesOf(
  registration: Pick<Registration, 'metadata' | 'dags'>,
  digest: Digest,
  record: BlobRecord,
  range: ByteRange,
  options?: AbortOptions
): AsyncGenerator<Leaf> {
  return new Leaves(registration, digest, record).of(range, options)
}

/** A block of the DAG and what it covers of the blob. */
interface Block {
  cid: CID
  multihash: Uint8Array
  offset: number
  size: number
  /** 0 is the root. */
  depth: number
}

/**
 * The leaves of one blob, for several ranges of it. The inner node last used of each level is kept, so that ranges in
 * ascending order read and decode each node once; a node is about 50 KiB and there are at most four levels.
 */
export class Leaves {
  readonly #registration: Pick<Registration, 'metadata' | 'dags'>
  readonly #digest: Digest
  readonly #root: Block
  /** By level: where the node begins, and what it links. */
  readonly #nodes: { offset: number; children: readonly Block[] }[] = []

  constructor(registration: Pick<Registration, 'metadata' | 'dags'>, digest: Digest, { root, size }: BlobRecord) {
    this.#registration = registration
    this.#digest = digest
    this.#root = { cid: root, multihash: root.multihash.bytes, offset: 0, size, depth: 0 }
  }

  /** @throws {RegistryError} CONTENT_CORRUPT when an inner node is gone */
  async *of(range: ByteRange, options?: AbortOptions): AsyncGenerator<Leaf> {
    const covers = ({ offset, size }: Block) =>
      offset < range.end && (offset + size > range.start || this.#root.size === 0)
    const pending = covers(this.#root) ? [this.#root] : []
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (next.cid.code === rawCodec) {
        yield { multihash: next.multihash, offset: next.offset, length: next.size }
        continue
      }
      const children = await this.#childrenOf(next, options)
      for (let at = children.length - 1; at >= 0; at--) {
        const child = children[at]
        if (child !== undefined && covers(child)) pending.push(child)
      }
    }
  }

  async #childrenOf(block: Block, options?: AbortOptions): Promise<readonly Block[]> {
    const known = this.#nodes[block.depth]
    if (known?.offset === block.offset) return known.children
    const { metadata, dags } = this.#registration
    const node = await metadata.node(block.multihash, options)
    if (node === undefined) throw indexDamaged(this.#digest)
    let { offset } = block
    const depth = block.depth + 1
    const children = dags.links(block.cid, node).map(({ cid, multihash, size }) => {
      const child = { cid, multihash, offset, size, depth }
      offset += size
      return child
    })
    this.#nodes[block.depth] = { offset: block.offset, children }
    return children
  }
}

/** Multihashes of every block of a blob's DAG: leaves and inner nodes. */
export async function blockMultihashes(
  registration: Pick<Registration, 'metadata' | 'dags'>,
  record: Pick<BlobRecord, 'root'>,
  options?: AbortOptions
): Promise<Uint8Array[]> {
  const multihashes: Uint8Array[] = [record.root.multihash.bytes]
  const pending = [record.root]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next.code === rawCodec) continue
    const node = await registration.metadata.node(next.multihash.bytes, options)
    if (node === undefined) continue
    for (const link of registration.dags.links(next, node)) {
      multihashes.push(link.multihash)
      pending.push(link.cid)
    }
  }
  return multihashes
}

function indexDamaged(digest: Digest): RegistryError {
  return new RegistryError('CONTENT_CORRUPT', {
    message: 'the block index of this blob is damaged: run "pinnace scrub --repair"',
    detail: { digest }
  })
}
