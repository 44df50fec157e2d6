/**
 * What the use cases of `registry/` need from the world, as narrow interfaces that the adapters (`storage/`,
 * `metadata/`, `ipfs/`) implement and `node.ts` wires. No port assumes one process: writes are a batch with
 * preconditions, bytes are named by digest.
 *
 * @module
 */
import type { CID } from 'multiformats/cid'
import type { Digest, DigestAlgorithm, WellFormedDigest } from '../oci/digest.ts'
import type { MetadataWalks } from './walks.ts'

export * from './walks.ts'
export * from './work-queue.ts'

export interface AbortOptions {
  signal?: AbortSignal
}

// --- metadata -------------------------------------------------------------------------------------------------

/** A blob on this disk. */
export interface BlobRecord {
  /** Bytes. */
  size: number
  /** Root of the blob's UnixFS DAG under Kubo's `unixfs-v1-2025` profile. */
  root: CID
  /** Cumulative size of that DAG in bytes (the `Tsize` a parent link carries). */
  dagSize: number
}

/** A repository's right to a blob. */
export interface LinkRecord {
  /** Last time, ms since epoch, that a push, mount or `HEAD` relied on the link; GC spares it for the grace period. */
  at: number
}

/** A manifest as one repository holds it. */
export interface RevisionRecord {
  /** `Content-Type` of the push: two repositories may hold the same bytes under different types. */
  mediaType: string
  size: number
  /** When it was pushed last, ms since epoch. */
  at: number
  /**
   * When it was pushed, lost a tag or an index above it, or was pulled by its digest, whichever came last; ms since epoch,
   * pulls to a day. An untagged manifest is as old as this says. Absent in records of before there was this field, which do
   * not say when the manifest lost its tags.
   */
  used?: number
}

export interface TagRecord {
  digest: Digest
  /** ms since epoch. */
  at: number
}

/** A descriptor of the referrers list, exactly the members the specification names (end-12a). */
export interface ReferrerDescriptor {
  mediaType: string
  digest: Digest
  size: number
  artifactType?: string
  annotations?: Record<string, string>
}

/** The image CID of a complete image, by its manifest's digest. */
export interface ImageRecord {
  root: CID
  dagSize: number
}

/** An open upload session (end-4a). The offset is the staged file's size, never stored. */
export interface UploadRecord {
  repository: string
  /** Algorithm announced at POST (end-4c), `sha256` when none was. */
  algorithm: DigestAlgorithm
  /** ms since epoch. */
  startedAt: number
}

export const lossKinds = ['blob', 'manifest'] as const
export type LossKind = (typeof lossKinds)[number]

/** Bytes that were here, that a repository holds, and that are gone or no longer hash. */
export interface LossRecord {
  problem: 'corrupt' | 'missing'
  /** ms since epoch, when it was found. */
  at: number
  /** Who met it: a request, a scrub, or the start of the node. */
  foundBy: 'read' | 'scrub' | 'start'
  /** Name of the file under `quarantine/` that has the bytes that did not hash. */
  quarantined?: string
}

/**
 * Who owns a block. One block may have several homes; it goes when the last one does.
 * `blob:` leaves are ranges of the flat file and inner nodes are stored; `manifest:` leaves are ranges of the manifest's
 * bytes; `image:` nodes belong to the image directory of that manifest.
 */
export type BlockHome = `blob:${Digest}` | `manifest:${Digest}` | `image:${Digest}`

/** Where a block's bytes are inside one home. */
export type BlockPlace = { kind: 'range'; offset: number; length: number } | { kind: 'node'; length: number }

/** One block of a DAG, keyed by the multihash of its CID (codec is no part of a block's identity in bitswap or here). */
export interface BlockEntry {
  /** Multihash bytes. */
  multihash: Uint8Array
  place: BlockPlace
  /** Bytes of a `node` block (dag-pb, or a small synthesized raw leaf); absent for ranges. */
  bytes?: Uint8Array
}

/** Stands while manifests that an earlier version stored may lack references. */
export interface ReferenceUpgradeRecord {
  /** Up to and with this one, in the order of repositories and digests, they have them. Absent: none is seen to. */
  after?: { repository: string; digest: Digest }
}

/** One change. A batch of them is applied whole or not at all. */
export type Mutation =
  | { type: 'putBlob'; digest: Digest; record: BlobRecord; uploadId: string }
  | { type: 'deleteBlob'; digest: Digest }
  | { type: 'putBlocks'; home: BlockHome; blocks: Iterable<BlockEntry> }
  | { type: 'deleteBlocks'; home: BlockHome; multihashes: Iterable<Uint8Array> }
  | { type: 'putLink'; repository: string; digest: Digest; record: LinkRecord }
  | { type: 'deleteLink'; repository: string; digest: Digest }
  | { type: 'putManifest'; digest: Digest; bytes: Uint8Array }
  | { type: 'deleteManifest'; digest: Digest }
  | { type: 'putRevision'; repository: string; digest: Digest; record: RevisionRecord }
  | { type: 'deleteRevision'; repository: string; digest: Digest }
  /** Sets {@link RevisionRecord.used}, never to an earlier time; nothing where the repository does not hold the manifest. */
  | { type: 'useRevision'; repository: string; digest: Digest; at: number }
  /** The manifest that the tag named before was used until `record.at`. */
  | { type: 'putTag'; repository: string; tag: string; record: TagRecord }
  /** The manifest that the tag named was used until `at`, ms since epoch. */
  | { type: 'deleteTag'; repository: string; tag: string; at: number }
  | { type: 'putReference'; repository: string; child: Digest; parent: Digest }
  | { type: 'deleteReference'; repository: string; child: Digest; parent: Digest }
  | { type: 'putReferrer'; repository: string; subject: WellFormedDigest; descriptor: ReferrerDescriptor }
  | { type: 'deleteReferrer'; repository: string; subject: WellFormedDigest; digest: Digest }
  | { type: 'putReferenceUpgrade'; record: ReferenceUpgradeRecord }
  | { type: 'deleteReferenceUpgrade' }
  | { type: 'putImage'; digest: Digest; record: ImageRecord }
  | { type: 'deleteImage'; digest: Digest }
  | { type: 'putUpload'; id: string; record: UploadRecord }
  | { type: 'deleteUpload'; id: string }
  /** Recorded only while a repository holds the digest, and once; goes by itself with `putBlob`, `putManifest` or the last holder. */
  | { type: 'putLoss'; kind: LossKind; digest: Digest; record: LossRecord }
  | { type: 'deleteLoss'; kind: LossKind; digest: Digest }

/** What must hold at the moment a batch is applied, checked against everything committed before it. */
export type Precondition =
  | { type: 'blobExists'; digest: Digest }
  | { type: 'blobAbsent'; digest: Digest }
  | { type: 'linkExists'; repository: string; digest: Digest }
  /** The link is still the one that was read (GC: nobody touched it meanwhile). */
  | { type: 'linkAt'; repository: string; digest: Digest; at: number }
  /**
   * No manifest of the repository names the digest, as {@link MetadataStore.parents} has it. Never, while a
   * {@link ReferenceUpgradeRecord} stands: then a reference may be missing.
   */
  | { type: 'unreferenced'; repository: string; digest: Digest }
  /** No repository holds the blob or manifest any more. */
  | { type: 'unlinked'; digest: Digest }
  | { type: 'revisionExists'; repository: string; digest: Digest }
  /** The manifest's stored bytes are these; `undefined`: there are none. */
  | { type: 'manifestIs'; digest: Digest; bytes: Uint8Array | undefined }
  /** The repository holds the manifest under this media type; `undefined`: not at all. */
  | { type: 'revisionIs'; repository: string; digest: Digest; mediaType: string | undefined }
  /** {@link RevisionRecord.at} is still what was read (GC: nobody pushed it meanwhile). */
  | { type: 'revisionAt'; repository: string; digest: Digest; at: number }
  /** {@link RevisionRecord.used} is still what was read (GC: nobody pulled or untagged it meanwhile). */
  | { type: 'revisionUsed'; repository: string; digest: Digest; used: number | undefined }
  /** No tag of the repository points at the manifest, but perhaps some of these. */
  | { type: 'untagged'; repository: string; digest: Digest; except?: readonly string[] }
  /** The tag points at `digest`; `undefined` means that the tag does not exist. `'any'` means it exists. */
  | { type: 'tagIs'; repository: string; tag: string; digest: Digest | 'any' | undefined }
  | { type: 'uploadExists'; id: string }
  /** The repository holds the digest (`as` a blob, as a manifest) already, or `size` bytes more stay within `limit`. */
  | { type: 'fits'; repository: string; as: 'blob' | 'manifest'; digest: Digest; size: number; limit: number }

/** Thrown by {@link MetadataStore.commit}: nothing of the batch was applied. */
export class PreconditionFailed extends Error {
  override readonly name = 'PreconditionFailed'
  readonly failed: readonly Precondition[]

  constructor(failed: readonly Precondition[]) {
    super(`precondition failed: ${failed.map(condition => condition.type).join(', ')}`)
    this.failed = failed
  }
}

export interface CommitOptions extends AbortOptions {
  /**
   * Return only when the batch would survive a power cut. Default true. `false` survives a killed process only: for
   * what no acknowledged request depends on (upload sessions, touched links).
   */
  durable?: boolean
}

export interface PageOptions extends AbortOptions {
  /** Exclusive lower bound, in byte order. */
  after?: string
}

export interface RepositoryOptions extends PageOptions {
  /** Only names that begin with one of these, which are in byte order and none the beginning of another. Default: all. */
  under?: readonly string[]
}

/** A blob whose durable record exists while its staged file may still wait to be renamed into place (after a crash). */
export interface UnplacedBlob {
  digest: Digest
  uploadId: string
}

/**
 * Names, links and the block index. Reads see every commit that returned. Absent is `undefined`, any other failure
 * throws with its cause. Lists are in byte order and lazy: memory does not grow with their length.
 */
export interface MetadataStore extends MetadataWalks {
  blob(digest: Digest, options?: AbortOptions): Promise<BlobRecord | undefined>
  link(repository: string, digest: Digest, options?: AbortOptions): Promise<LinkRecord | undefined>
  manifestBytes(digest: Digest, options?: AbortOptions): Promise<Uint8Array | undefined>
  revision(repository: string, digest: WellFormedDigest, options?: AbortOptions): Promise<RevisionRecord | undefined>
  tag(repository: string, tag: string, options?: AbortOptions): Promise<TagRecord | undefined>
  image(digest: Digest, options?: AbortOptions): Promise<ImageRecord | undefined>
  upload(id: string, options?: AbortOptions): Promise<UploadRecord | undefined>
  /** `undefined` once every manifest's references are recorded. */
  referenceUpgrade(options?: AbortOptions): Promise<ReferenceUpgradeRecord | undefined>
  loss(kind: LossKind, digest: Digest, options?: AbortOptions): Promise<LossRecord | undefined>
  /** How many losses of a kind are recorded; one look-up, exact with every commit. */
  lossCount(kind: LossKind, options?: AbortOptions): Promise<number>
  /** Bytes of the blobs the repository links and of its manifests, each digest once; exact with every commit. */
  usage(repository: string, options?: AbortOptions): Promise<number>
  /** Whether the repository holds any link, revision or tag. */
  repositoryExists(repository: string, options?: AbortOptions): Promise<boolean>

  /** Homes of a block, each with the place of its bytes there. */
  blockHomes(multihash: Uint8Array, options?: AbortOptions): AsyncIterable<{ home: BlockHome; place: BlockPlace }>
  /** Bytes of a `node` block. */
  node(multihash: Uint8Array, options?: AbortOptions): Promise<Uint8Array | undefined>

  repositories(options?: RepositoryOptions): AsyncIterable<string>
  tags(repository: string, options?: PageOptions): AsyncIterable<{ tag: string; record: TagRecord }>
  revisions(repository: string, options?: PageOptions): AsyncIterable<{ digest: Digest; record: RevisionRecord }>
  links(repository: string, options?: PageOptions): AsyncIterable<{ digest: Digest; record: LinkRecord }>
  /** Tags of the repository that point at the manifest. */
  tagsOf(repository: string, digest: Digest, options?: AbortOptions): AsyncIterable<string>
  /** Manifests of the repository that name `child`: as config, layer, index entry, or anywhere else but as their subject. */
  parents(repository: string, child: Digest, options?: AbortOptions): AsyncIterable<Digest>
  referrers(repository: string, subject: WellFormedDigest, options?: PageOptions): AsyncIterable<ReferrerDescriptor>
  /** Every pair of a repository's index of references. Takes as long as the repository is large. */
  references(repository: string, options?: AbortOptions): AsyncIterable<{ child: Digest; parent: Digest }>
  /** Every pair of a repository's index of referrers. Takes as long as the repository is large. */
  referrals(repository: string, options?: AbortOptions): AsyncIterable<{ subject: WellFormedDigest; digest: Digest }>
  /** Repositories that hold the digest as a blob or as a manifest. */
  holders(digest: Digest, options?: AbortOptions): AsyncIterable<string>
  blobs(options?: PageOptions): AsyncIterable<{ digest: Digest; record: BlobRecord }>
  /** Every manifest whose bytes are stored. */
  manifests(options?: PageOptions): AsyncIterable<Digest>
  uploads(options?: PageOptions): AsyncIterable<{ id: string; record: UploadRecord }>
  losses(kind: LossKind, options?: PageOptions): AsyncIterable<{ digest: Digest; record: LossRecord }>

  /** Blobs committed whose file may not have reached its final place (written by `putBlob`, until {@link placed}). */
  unplaced(options?: AbortOptions): AsyncIterable<UnplacedBlob>
  /** The blob's file is in place and its folder synced. Not durable: repeating it after a crash is harmless. */
  placed(digest: Digest): Promise<void>
  /** Blobs whose record was deleted but whose file may still be there (written by `deleteBlob`, until {@link removed}). */
  doomed(options?: AbortOptions): AsyncIterable<Digest>
  removed(digest: Digest): Promise<void>

  /**
   * Applies all mutations or none. Concurrent commits may share one sync.
   *
   * @throws {PreconditionFailed}
   * @throws {RegistryError} STORAGE_FULL when the disk is full; later commits work again once space is back.
   */
  commit(
    mutations: readonly Mutation[],
    preconditions?: readonly Precondition[],
    options?: CommitOptions
  ): Promise<void>
}

// --- bytes ----------------------------------------------------------------------------------------------------

/** Inclusive start, exclusive end, bytes. */
export interface ByteRange {
  start: number
  end: number
}

/** What one pass over a staged upload found. */
export interface StagedContent {
  size: number
  /** Digest of the whole under the algorithm asked for. */
  digest: Digest
  /** sha256 of each 1 MiB leaf in order, 32 bytes each, concatenated; one (of nothing) for an empty blob. */
  leaves: Uint8Array
}

export interface AppendOptions extends AbortOptions {
  /**
   * Staged bytes that the body goes behind; with its first byte the ones after them are cut away. Default: all. Going back to
   * where the append before began is cheap, other bytes are hashed again at the end.
   */
  at?: number
  /** Bytes the body will bring, where it says so: refused before it is read when there is no room for them. */
  expected?: number
  /** Most bytes to take of the body. One that brings more fails after that many. Default: no limit. */
  limit?: number
  /** The bytes are about to be read again: keep them in memory the system can take back, if it has any. Default false. */
  readBack?: boolean
}

/** What clients may still take of the disk. The rest is for what deletions, garbage collection and the metadata write. */
export interface DiskRoom {
  /** @throws {RegistryError} STORAGE_FULL with `Retry-After` when there is not room for so many bytes, or for any at all */
  admit(bytes: number): Promise<void>
}

/** Upload sessions' bytes on disk: files that outlive the process, appended to or cut and appended to. */
export interface UploadStaging {
  create(id: string, algorithm: DigestAlgorithm): Promise<void>
  /** Bytes staged so far, `undefined` when there is no such file. */
  size(id: string): Promise<number | undefined>
  /**
   * Appends a body, hashing as it goes; resolves with the new size. What arrived before a failure or abort stays staged.
   * A chunk of the body is not looked at after the next was asked for.
   * A Node stream is taken at its own speed and, after a failure, left paused rather than destroyed, so that an answer
   * can still go out over its connection.
   *
   * @throws {RegistryError} STORAGE_FULL (what fitted stays), SIZE_INVALID (beyond `limit`), BLOB_UPLOAD_UNKNOWN,
   *   BLOB_UPLOAD_OUT_OF_ORDER (`at` is beyond what is staged)
   */
  append(id: string, body: AsyncIterable<Uint8Array>, options?: AppendOptions): Promise<number>
  /** Digest and leaves of all staged bytes, re-read when the running hash is gone (restart, other algorithm). */
  content(id: string, algorithm: DigestAlgorithm, options?: AbortOptions): Promise<StagedContent>
  /**
   * Fills `buffer` with the bytes staged at `offset`; resolves with how many there were. Works beside {@link append}: what
   * an append that returned has staged is seen.
   *
   * @throws {RegistryError} BLOB_UPLOAD_UNKNOWN
   */
  read(id: string, buffer: Uint8Array, offset: number, options?: AbortOptions): Promise<number>
  /** Makes the staged file and its folder entry survive a power cut. */
  sync(id: string): Promise<void>
  /**
   * Renames the staged file to its final place as a blob, replacing what is there. Not yet synced. Doing it again after
   * a crash is harmless. Resolves with the {@link BlobFile.identity} of the file placed.
   *
   * @throws {RegistryError} BLOB_UPLOAD_UNKNOWN when there is neither the staged file nor the blob's
   */
  place(id: string, digest: Digest): Promise<string>
  /** Absent is success. */
  discard(id: string): Promise<void>
  list(): AsyncIterable<{ id: string; size: number; modifiedAt: number }>
}

/** One open blob file. Reads never see more than the size at opening. */
export interface BlobFile {
  readonly size: number
  /** Changes whenever the file's bytes may have (inode, size, mtime, ctime): the key of "verified since". */
  readonly identity: string
  /** Reads exactly `length` bytes at `offset`, fewer only at the end of the file. */
  pread(offset: number, length: number, options?: AbortOptions): Promise<Uint8Array>
  /** Chunks of up to 512 KiB in order, the next one read ahead. A chunk is valid until the next is asked for. */
  stream(range: ByteRange, options?: AbortOptions): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** A file that was taken out of service, under `quarantine/`. */
export interface QuarantinedFile {
  name: string
  /** Absolute. */
  path: string
  size: number
  /** ms since epoch, when it was put there. */
  at: number
  /** What it was the bytes of; absent when its name does not say. */
  digest?: Digest
}

/** Blobs as flat files, one a digest. */
export interface BlobFiles {
  /** `undefined` only when the file does not exist. */
  open(digest: Digest): Promise<BlobFile | undefined>
  /** Makes renames into the digest's folder survive a power cut. */
  syncPlace(digest: Digest): Promise<void>
  /** Removes the file, durably; absent is success. */
  remove(digest: Digest): Promise<void>
  /** Moves a file out of service, keeping it for inspection; `undefined` when there is none. Durable when it returns. */
  quarantine(digest: Digest): Promise<QuarantinedFile | undefined>
  /** The same for bytes that are in no file. @throws {RegistryError} STORAGE_FULL */
  quarantineBytes(digest: Digest, bytes: Uint8Array): Promise<QuarantinedFile>
  /** The file of this name, while it is still there. */
  quarantined(name: string): Promise<QuarantinedFile | undefined>
  /** Every file put aside, in no order. */
  listQuarantined(options?: AbortOptions): AsyncIterable<QuarantinedFile>
  /** Removes one of them for good; `false` when there is none of that name. */
  removeQuarantined(name: string): Promise<boolean>
  /** Every blob file there is, for scrub's search of strays. */
  list(options?: AbortOptions): AsyncIterable<{ digest: Digest; size: number }>
  /** A cheap write, read and removal in the data folder, for the health check. */
  probe(options?: AbortOptions): Promise<void>
}

// --- DAGs -----------------------------------------------------------------------------------------------------

/** A DAG ready to be indexed. */
export interface Dag {
  root: CID
  dagSize: number
  /** May be gone through more than once, and may name a block more than once: each time is a place where it is. */
  blocks: Iterable<BlockEntry>
}

/** One file of an image directory: `blobs/<algorithm>/<encoded>` and the DAG it already has. */
export interface ImageMember {
  digest: Digest
  root: CID
  dagSize: number
}

/** Builds CIDs as Kubo's `unixfs-v1-2025` profile does; pure, no I/O. */
export interface DagBuilder {
  /** A blob's or manifest's DAG from its leaf hashes. Blocks include the leaves as ranges. */
  file(content: { size: number; leaves: Uint8Array }): Dag
  /** The image directory of design.md (frozen bytes). `members` holds every file once, in any order. Only new blocks are listed, not the members'. */
  image(manifest: { digest: Digest; mediaType: string; size: number }, members: readonly ImageMember[]): Promise<Dag>
  /** Multihashes of the links of an inner node, in order, with the bytes of file content below each; empty for a leaf. */
  links(root: CID, node: Uint8Array): { multihash: Uint8Array; cid: CID; size: number }[]
}

// --- sources (filled by later issues) -------------------------------------------------------------------------

/** A place a missing blob can come from; `registry/fetch` asks them, verifies and commits. */
export interface BlobSource {
  readonly name: string
  /**
   * The blob's bytes from `offset`, or `undefined` when this source does not have it, or not for that repository. Bytes
   * are not trusted. An iterable that ends without an error says that this was all of the blob.
   */
  open(
    digest: Digest,
    options?: AbortOptions & { repository?: string; offset?: number }
  ): Promise<AsyncIterable<Uint8Array> | undefined>
  /** This source alone supplied all the bytes of a blob, and they do not hash to the digest. */
  blamed?(digest: Digest): void
}

export interface Clock {
  /** ms since epoch. */
  now(): number
}

/** What use cases report; pino's signature, nothing more. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
