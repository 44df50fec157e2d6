import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { confirmRot } from '../maintenance/quarantine.ts'
import type { AbortOptions, BlobFile, BlobRecord, ByteRange } from '../ports.ts'
import type { BlobReading } from '../registry.ts'
import { LaterPieces, sha256 } from './later-pieces.ts'
import { type Leaf, Leaves, leafSize } from './leaves.ts'
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
    read: (ranges = [{ start: 0, end: record.size }], options) =>
      read({ registration, digest, record, file }, ranges, options),
    close: () => file.close()
  }
}

/** A blob's record and its open file. */
interface OpenBlob {
  registration: Registration
  digest: Digest
  record: BlobRecord
  file: BlobFile
}

function read(blob: OpenBlob, ranges: readonly ByteRange[], options?: AbortOptions): AsyncIterable<Uint8Array> {
  const { registration, digest, file } = blob
  const { verified, init } = registration
  const [range] = ranges
  if (init.verifyReads === 'changed' && verified.has(digest, file.identity))
    return ranges.length === 1 && range !== undefined ? file.stream(range, options) : stream(file, ranges, options)
  return readVerified(blob, ranges, options)
}

async function* stream(file: BlobFile, ranges: readonly ByteRange[], options?: AbortOptions) {
  for (const range of ranges) yield* file.stream(range, options)
}

/**
 * Yields nothing that was not hashed, so the last bytes of a rotten blob never leave. The next leaf is read and hashed (on
 * the thread pool) while the consumer writes this one.
 */
async function* readVerified(
  blob: OpenBlob,
  ranges: readonly ByteRange[],
  options?: AbortOptions
): AsyncGenerator<Uint8Array> {
  const pieces = loadPieces(blob, ranges, options)
  const load = () => {
    const next = pieces.next()
    // It may fail while the consumer still writes; the consumer is told when it asks.
    next.catch(() => undefined)
    return next
  }
  let ahead = load()
  try {
    for (let step = await ahead; step.done !== true; step = await ahead) {
      ahead = load()
      yield step.value
    }
    const { registration, digest, record, file } = blob
    if (ranges.length === 1 && ranges[0]?.start === 0 && ranges[0].end === record.size)
      registration.verified.add(digest, file.identity)
  } finally {
    await ahead.catch(() => undefined)
  }
}

/** What the ranges have of each leaf, in the order asked. Each leaf is read and hashed once, whatever that order is. */
async function* loadPieces(
  blob: OpenBlob,
  ranges: readonly ByteRange[],
  options?: AbortOptions
): AsyncGenerator<Uint8Array> {
  const { registration, digest, record, file } = blob
  const leaves = new Leaves(registration, digest, record)
  const later = new LaterPieces(ranges)
  for (const [index, range] of ranges.entries()) {
    const known = await takePiece(blob, later, range.start, options)
    if (known !== undefined) yield known
    const start = range.start + (known?.length ?? 0)
    if (start >= range.end) continue
    for await (const leaf of leaves.of({ start, end: range.end }, options)) {
      const from = Math.max(range.start - leaf.offset, 0)
      const to = Math.min(range.end - leaf.offset, leaf.length)
      const piece = await takePiece(blob, later, leaf.offset + from, options)
      if (piece !== undefined) yield piece
      else {
        const bytes = await loadLeaf(registration, digest, file, leaf, options)
        if (to - from < leaf.length) await later.keep(leaf.offset, bytes, index)
        if (to > from) yield bytes.subarray(from, to)
      }
    }
  }
}

/** What begins there, when its leaf was hashed already. */
async function takePiece(
  { registration, digest, file }: OpenBlob,
  later: LaterPieces,
  start: number,
  options?: AbortOptions
): Promise<Uint8Array | undefined> {
  const piece = later.take(start)
  if (piece === undefined || piece.bytes !== undefined) return piece?.bytes
  const bytes = await file.pread(start, piece.length, options)
  if (bytes.length === piece.length && (await sha256(bytes)).equals(piece.sha256)) return bytes
  confirmRot(registration, digest)
  throw corrupt(digest)
}

async function loadLeaf(
  registration: Registration,
  digest: Digest,
  file: BlobFile,
  leaf: Leaf,
  options?: AbortOptions
): Promise<Uint8Array> {
  const bytes = await file.pread(leaf.offset, leaf.length, options)
  if (bytes.length !== leaf.length || !(await hashesTo(bytes, leaf.multihash))) {
    confirmRot(registration, digest)
    throw corrupt(digest)
  }
  return bytes
}

/** Whether bytes hash to a sha2-256 multihash (0x12, length 32). The thread pool does it: a leaf takes 0.6 ms. */
export async function hashesTo(bytes: Uint8Array, multihash: Uint8Array): Promise<boolean> {
  if (bytes.length > leafSize || multihash[0] !== 0x12 || multihash[1] !== 32) return false
  return (await sha256(bytes)).equals(multihash.subarray(2))
}

function corrupt(digest: Digest): RegistryError {
  return new RegistryError('CONTENT_CORRUPT', { detail: { digest } })
}
