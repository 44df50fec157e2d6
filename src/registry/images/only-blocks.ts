import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions, ImageRecord } from '../ports.ts'

/** Multihashes whose home is this image's directory: a walk from the root that stops at blocks with other homes only. */
export async function imageOnlyBlocks(
  registration: Registration,
  digest: Digest,
  record: ImageRecord,
  options?: AbortOptions
): Promise<Uint8Array[]> {
  const found: Uint8Array[] = []
  const pending = [record.root]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (!(await isHomeOf(registration, next.multihash.bytes, digest, options))) continue
    found.push(next.multihash.bytes)
    const node = next.code === 0x70 ? await registration.metadata.node(next.multihash.bytes, options) : undefined
    if (node !== undefined) pending.push(...registration.dags.links(next, node).map(link => link.cid))
  }
  return found
}

async function isHomeOf(
  registration: Registration,
  multihash: Uint8Array,
  digest: Digest,
  options?: AbortOptions
): Promise<boolean> {
  for await (const { home } of registration.metadata.blockHomes(multihash, options))
    if (home === `image:${digest}`) return true
  return false
}
