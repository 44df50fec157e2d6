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

/** The leaves that cover a range, in order, read from the stored inner nodes. */
export async function* leavesOf(
  registration: Pick<Registration, 'metadata' | 'dags'>,
  digest: Digest,
  record: BlobRecord,
  range: ByteRange,
  options?: AbortOptions
): AsyncGenerator<Leaf> {
  const { metadata, dags } = registration
  const pending: { cid: CID; multihash: Uint8Array; offset: number; size: number }[] = [
    { cid: record.root, multihash: record.root.multihash.bytes, offset: 0, size: record.size }
  ]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next.offset >= range.end || (next.offset + next.size <= range.start && record.size > 0)) continue
    if (next.cid.code === rawCodec) {
      yield { multihash: next.multihash, offset: next.offset, length: next.size }
      continue
    }
    const node = await metadata.node(next.multihash, options)
    if (node === undefined) throw indexDamaged(digest)
    let end = next.offset + next.size
    for (const link of dags.links(next.cid, node).reverse()) {
      pending.push({ cid: link.cid, multihash: link.multihash, offset: end - link.size, size: link.size })
      end -= link.size
    }
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
