import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Leaf } from '../blobs/leaves.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions, BlobRecord, ByteRange } from '../ports.ts'
import { hashLeaves } from './hash-leaves.ts'

export interface BlobEntryCheck {
  digest: Digest
  record: BlobRecord
  leaves: (range: ByteRange, options?: AbortOptions) => AsyncIterable<Leaf>
}

/** Whether any block of a sound blob cannot be found by its CID. */
export async function findUnindexed(
  registration: Registration,
  check: BlobEntryCheck,
  options?: AbortOptions
): Promise<boolean> {
  const home = `blob:${check.digest}`
  try {
    if (!(await hasHome(registration, check.record.root.multihash.bytes, home, options))) return true
    for await (const leaf of check.leaves({ start: 0, end: check.record.size }, options)) {
      if (!(await hasHome(registration, leaf.multihash, home, options))) return true
    }
    return false
  } catch (error) {
    // An inner node is missing: the walk itself says so.
    if (error instanceof RegistryError && error.reason === 'CONTENT_CORRUPT') return true
    throw error
  }
}

async function hasHome(
  registration: Registration,
  multihash: Uint8Array,
  wanted: string,
  options?: AbortOptions
): Promise<boolean> {
  for await (const { home } of registration.metadata.blockHomes(multihash, options)) if (home === wanted) return true
  return false
}

/** Writes the block index of a blob again from its file. */
export async function reindexBlob(
  registration: Registration,
  digest: Digest,
  record: BlobRecord,
  options?: AbortOptions
): Promise<void> {
  const file = await registration.files.open(digest)
  if (file === undefined) return
  try {
    const leaves = await hashLeaves(file, record.size, undefined, options)
    const { blocks } = registration.dags.file({ size: record.size, leaves })
    await registration.metadata.commit(
      [{ type: 'putBlocks', home: `blob:${digest}`, blocks }],
      [{ type: 'blobExists', digest }],
      options
    )
  } finally {
    await file.close()
  }
}
