import { webcrypto } from 'node:crypto'
import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { confirmRot } from '../maintenance/quarantine.ts'
import type { AbortOptions, BlobFile, BlobRecord, ByteRange } from '../ports.ts'
import type { BlobReading } from '../registry.ts'
import { type Leaf, leafSize, leavesOf } from './leaves.ts'
import { blobUnknown } from './stat.ts'

/** end-2: a blob of the repository, verified as it is read. */
export async function openBlob(
  registration: Registration,
  repository: string,
  digest: Digest,
  options?: AbortOptions
): Promise<BlobReading> {
  const { metadata } = registration
  const [link, record] = await Promise.all([metadata.link(repository, digest, options), metadata.blob(digest, options)])
  if (link === undefined || record === undefined) throw blobUnknown(digest)
  return openRecord(registration, digest, record)
}

/** Opens a blob whoever asks for it was allowed to read. */
export async function openRecord(registration: Registration, digest: Digest, record: BlobRecord): Promise<BlobReading> {
  const file = await registration.files.open(digest)
  if (file === undefined || file.size !== record.size) {
    await file?.close()
    // GC may have removed it since the record was read; only then is it unknown rather than damaged.
    if ((await registration.metadata.blob(digest)) === undefined) throw blobUnknown(digest)
    confirmRot(registration, digest)
    throw corrupt(digest)
  }
  return {
    digest,
    size: record.size,
    root: record.root,
    read: (range = { start: 0, end: record.size }, options) => read(registration, digest, record, file, range, options),
    close: () => file.close()
  }
}

function read(
  registration: Registration,
  digest: Digest,
  record: BlobRecord,
  file: BlobFile,
  range: ByteRange,
  options?: AbortOptions
): AsyncIterable<Uint8Array> {
  const { verified, init } = registration
  if (init.verifyReads === 'changed' && verified.has(digest, file.identity)) return file.stream(range, options)
  return readVerified(registration, digest, record, file, range, options)
}

/**
 * Reads leaf by leaf and yields nothing that was not hashed, so the last bytes of a rotten blob never leave. The next
 * leaf is read and hashed (on the thread pool) while the consumer writes this one.
 */
async function* readVerified(
  registration: Registration,
  digest: Digest,
  record: BlobRecord,
  file: BlobFile,
  range: ByteRange,
  options?: AbortOptions
): AsyncGenerator<Uint8Array> {
  const leaves = leavesOf(registration, digest, record, range, options)
  const load = async () => {
    const next = await leaves.next()
    return next.done === true ? undefined : loadLeaf(registration, digest, file, next.value, options)
  }
  let ahead = load()
  try {
    for (let leaf = await ahead; leaf !== undefined; leaf = await ahead) {
      ahead = load()
      const from = Math.max(range.start - leaf.offset, 0)
      const to = Math.min(range.end - leaf.offset, leaf.bytes.length)
      if (to > from) yield leaf.bytes.subarray(from, to)
    }
    if (range.start === 0 && range.end === record.size) registration.verified.add(digest, file.identity)
  } finally {
    await ahead.catch(() => undefined)
  }
}

async function loadLeaf(
  registration: Registration,
  digest: Digest,
  file: BlobFile,
  leaf: Leaf,
  options?: AbortOptions
) {
  const bytes = await file.pread(leaf.offset, leaf.length, options)
  if (bytes.length !== leaf.length || !(await hashesTo(bytes, leaf.multihash))) {
    confirmRot(registration, digest)
    throw corrupt(digest)
  }
  return { offset: leaf.offset, bytes }
}

/** Whether bytes hash to a sha2-256 multihash (0x12, length 32). The thread pool does it: a leaf takes 0.6 ms. */
export async function hashesTo(bytes: Uint8Array, multihash: Uint8Array): Promise<boolean> {
  if (bytes.length > leafSize || multihash[0] !== 0x12 || multihash[1] !== 32) return false
  // A leaf's bytes are never in shared memory: they come from pread.
  const hash = Buffer.from(await webcrypto.subtle.digest('SHA-256', new Uint8Array(bytes)))
  return hash.equals(multihash.subarray(2))
}

function corrupt(digest: Digest): RegistryError {
  return new RegistryError('CONTENT_CORRUPT', { detail: { digest } })
}
