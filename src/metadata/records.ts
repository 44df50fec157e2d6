/**
 * Values of the database: compact JSON for records (their form belongs to the schema number, see `migrate.ts`), a short
 * string for the place of a block. Manifests and nodes are raw bytes and need no codec.
 *
 * @module
 */
import { CID } from 'multiformats/cid'
import type { TokenRecord } from '../access/ports.ts'
import type {
  BlobRecord,
  BlockPlace,
  ImageRecord,
  LinkRecord,
  LossRecord,
  ReferenceUpgradeRecord,
  ReferrerDescriptor,
  RevisionRecord,
  TagRecord,
  UploadRecord
} from '../registry/ports.ts'

export const encode = {
  blob: (record: BlobRecord): string =>
    JSON.stringify({ size: record.size, root: record.root.toString(), dagSize: record.dagSize }),
  /** @param size bytes that the link counts for its repository */
  link: (record: LinkRecord, size?: number): string => JSON.stringify({ at: record.at, size }),
  revision: (record: RevisionRecord): string =>
    JSON.stringify({ mediaType: record.mediaType, size: record.size, at: record.at, used: record.used }),
  tag: (record: TagRecord): string => JSON.stringify({ digest: record.digest, at: record.at }),
  referrer: (descriptor: ReferrerDescriptor): string => JSON.stringify(descriptor),
  image: (record: ImageRecord): string => JSON.stringify({ root: record.root.toString(), dagSize: record.dagSize }),
  upload: (record: UploadRecord): string =>
    JSON.stringify({ repository: record.repository, algorithm: record.algorithm, startedAt: record.startedAt }),
  referenceUpgrade: ({ after }: ReferenceUpgradeRecord): string =>
    JSON.stringify(after === undefined ? {} : { after: { repository: after.repository, digest: after.digest } }),
  token: ({ id: _, ...rest }: TokenRecord): string => JSON.stringify(rest),
  loss: ({ problem, at, foundBy, quarantined }: LossRecord): string =>
    JSON.stringify({ problem, at, foundBy, quarantined }),
  /** `r<offset>,<length>` or `n<length>`. */
  place: (place: BlockPlace): string =>
    place.kind === 'range' ? `r${place.offset},${place.length}` : `n${place.length}`
} as const

export const decode = {
  blob: (text: string): BlobRecord => withRoot(parse<Stored<BlobRecord>>(text)),
  /** Without its CID, which takes longer to read than all the rest. */
  blobSize: (text: string): number => parse<{ size: number }>(text).size,
  link: (text: string): LinkRecord => ({ at: parse<LinkRecord>(text).at }),
  linkSize: (text: string): number | undefined => parse<{ size?: number }>(text).size,
  revision: (text: string): RevisionRecord => parse<RevisionRecord>(text),
  tag: (text: string): TagRecord => parse<TagRecord>(text),
  referrer: (text: string): ReferrerDescriptor => parse<ReferrerDescriptor>(text),
  image: (text: string): ImageRecord => withRoot(parse<Stored<ImageRecord>>(text)),
  upload: (text: string): UploadRecord => parse<UploadRecord>(text),
  referenceUpgrade: (text: string): ReferenceUpgradeRecord => parse<ReferenceUpgradeRecord>(text),
  token: (text: string): Omit<TokenRecord, 'id'> => parse<Omit<TokenRecord, 'id'>>(text),
  loss: (text: string): LossRecord => parse<LossRecord>(text),
  place: decodePlace
} as const

type Stored<T extends { root: CID }> = Omit<T, 'root'> & { root: string }

/** Only this program writes these values, so their form is trusted; that they are JSON at all is not. */
function parse<T>(text: string): T {
  try {
    return JSON.parse(text) as T
  } catch (cause) {
    throw damaged(text, cause)
  }
}

function withRoot<T extends { root: string }>(stored: T): Omit<T, 'root'> & { root: CID } {
  return { ...stored, root: CID.parse(stored.root) }
}

function decodePlace(text: string): BlockPlace {
  const [, kind, first, second] = /^([rn])(\d+)(?:,(\d+))?$/.exec(text) ?? []
  if (kind === 'n') return { kind: 'node', length: Number(first) }
  if (kind === 'r' && second !== undefined) return { kind: 'range', offset: Number(first), length: Number(second) }
  throw damaged(text)
}

function damaged(text: string, cause?: unknown): Error {
  return new Error(`a metadata record is damaged: ${JSON.stringify(text.slice(0, 80))}`, { cause })
}
