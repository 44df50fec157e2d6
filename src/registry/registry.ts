/**
 * The use cases of a registry as its doors (HTTP, control socket, command line) see them. Names and digests arrive
 * parsed; who may call was asked before.
 *
 * @module
 */
import type { CID } from 'multiformats/cid'
import type { RegistryError } from '../errors.ts'
import type { Digest, DigestAlgorithm, WellFormedDigest } from '../oci/digest.ts'
import type {
  AbortOptions,
  ByteRange,
  LossKind,
  QuarantinedFile,
  ReferrerDescriptor,
  RepositoryOptions
} from './ports.ts'

export interface BlobView {
  digest: Digest
  /** Bytes. */
  size: number
  root: CID
}

/** A blob opened for reading; {@link close} is owed, also after a failed read. */
export interface BlobReading extends Omit<BlobView, 'root'> {
  /** Absent while the blob is still being fetched: only all of its bytes tell. */
  root?: CID
  /**
   * Verified chunks, of one range after the other in the order given, none with bytes of two; a chunk is valid until the
   * next is asked for. Each leaf is verified once, however many ranges have a part in it. Throws CONTENT_CORRUPT before
   * the first byte that does not hash, so the caller cuts the response.
   *
   * @param ranges not empty, none overlapping another; default the whole
   */
  read(ranges?: readonly ByteRange[], options?: AbortOptions): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

export interface UploadView {
  id: string
  /** Bytes staged so far. */
  size: number
}

/** A request body for an upload session. */
export interface UploadBody {
  /** A chunk is valid until the next is asked for. */
  bytes: AsyncIterable<Uint8Array>
  /** First byte's position by `Content-Range`. Below what a 202 confirmed, or beyond what is staged, it is out of order. */
  start?: number
  /**
   * First byte's position by the `Location` the body was sent to, where `start` is absent. Below what a 202 confirmed it is the same
   * request again. Default: the end of what is staged.
   */
  offset?: number
  /** Length the client promised (`Content-Range` or `Content-Length`); a mismatch is SIZE_INVALID, what arrived stays. */
  length?: number
  /** Who sends the body. Default: somebody who never falls silent. */
  client?: BodyClient
}

/** The other end of a body that is being read. */
export interface BodyClient {
  /** ms that a byte has been waited for; 0 while what came is being worked on. */
  silentFor(): number
  /** Ends the body where a byte is waited for: whoever reads it gets BLOB_UPLOAD_STALLED. */
  giveUp(): void
}

export interface ManifestView {
  digest: Digest
  mediaType: string
  size: number
  /** Image CID when the image is complete. */
  image?: CID
}

export interface ManifestReading extends ManifestView {
  bytes: Uint8Array
}

export interface PutManifestRequest {
  bytes: Uint8Array
  /** `Content-Type` without parameters; empty when the client sent none. */
  mediaType: string
  /** Digest in the request target, checked against the bytes. */
  digest?: Digest
  /** Tags to set, from the target or `?tag=` (end-7b). */
  tags: readonly string[]
  /** One of these each tag, or the digest, must currently name. */
  ifMatch?: IfMatch
  /** `If-None-Match`: digests none of which a tag, or the digest, may currently name; `*` is any. */
  ifNoneMatch?: readonly (Digest | '*')[]
  /** Default: every tag may be moved. */
  refuseMove?: RefuseMove
  /** Why the media type of a manifest that is there, `current`, stays. Default: it may be pushed under another one. */
  refuseRetype?: (current: string) => RegistryError | undefined
}

/** `If-Match` (RFC 9110, section 13.1.1): digests, or `*` for whatever is there; empty for what nothing can match. */
export type IfMatch = readonly (Digest | '*')[]

/** Why a tag that is set may neither be made to point elsewhere nor be taken away; `undefined` when it may. */
export type RefuseMove = (tag: string) => RegistryError | undefined

export interface PutManifestResult extends ManifestView {
  tags: readonly string[]
  /** Present when the manifest has a subject (`OCI-Subject`). */
  subject?: WellFormedDigest
}

export interface Page<T> {
  items: T[]
  /**
   * Pass as `after` for the next page; absent on the last one. The page may be short, even empty, where a filter leaves
   * little: then this may be an item that the filter hid.
   */
  next?: string
}

export interface PageRequest extends AbortOptions {
  /** Exclusive lower bound. */
  after?: string
  /** Items at most. */
  limit: number
  /** Bytes at most, where items have no small bound; a larger one comes alone. */
  maxBytes?: number
}

/** What garbage collection left for one reason. */
export interface Spared {
  /** Manifests that no tag, index or subject leads to. */
  manifests: number
  /** Blobs that nothing else keeps. */
  blobs: number
  /** Bytes of those blobs. */
  bytes: number
}

export interface GcReport {
  dryRun: boolean
  /** Repository links to blobs that no manifest uses. */
  links: number
  /** Manifests that no tag, index or subject led to. What a crash left of deleted ones is cleared and not counted. */
  manifests: number
  blobs: number
  /** Bytes of those blobs. */
  bytes: number
  /** What would have gone had it not been pushed or mounted a moment ago, or not been kept although no tag leads to it. */
  spared: { recent: Spared; untagged: Spared }
  /** Whether requests came in meanwhile. */
  serving: boolean
  /** ms that what was pushed or mounted was spared for. */
  graceMs: number
  /** ms that manifests without a tag were kept after their last use; `null` for ever. */
  untaggedMs: number | null
  /** There was too much to hold in memory: the figures of `spared`, and of a dry run all figures, are at least these. */
  atLeast: boolean
}

export interface GcOptions extends AbortOptions {
  dryRun?: boolean
  /**
   * ms that what was pushed or mounted is spared for. Default: the node's. While requests are served it is at least 15
   * minutes, or the node's where that is less, unless `force` is given: less than a push takes loses the push its blobs.
   */
  graceMs?: number
  force?: boolean
  /**
   * ms after their last use at which manifests go that no tag, index or subject leads to; 0 takes them whatever their last
   * use, if the grace period since their push is over. Default: the node's.
   */
  untaggedMs?: number
  onProgress?: (report: Readonly<GcReport>) => void
  /** It has not begun: manifests that an earlier version stored are read first, of which so many are. Called now and then. */
  onWait?: (manifests: number) => void
}

/** A manifest that goes with a tag, or would. */
export interface RemovedManifest {
  digest: Digest
  mediaType: string
  /** Bytes of the manifest. */
  size: number
  /** As the index above it says. */
  platform?: unknown
}

/** Why a manifest stays when its tag goes: what else leads to it. */
export type StaysFor = { tag: string } | { index: Digest } | { subject: Digest }

export interface TagRemovalPlan {
  /** What each tag names, in the order asked for; without `digest` there is no such tag. */
  tags: { tag: string; digest?: Digest; stays?: StaysFor }[]
  /** Manifests that go with the tags: at most the first hundred. */
  manifests: RemovedManifest[]
  /** How many there are of them. */
  count: number
  /** There are more than were looked at. */
  atLeast: boolean
}

export interface TagRemoval {
  /** What the tag named. */
  digest: Digest
  /** Manifests that went with the tag. */
  manifests: number
  /** Why the manifest it named is still there. */
  stays?: StaysFor
}

export interface RepositoryRemovalPlan {
  tags: number
  manifests: number
  /** Bytes of its blobs and manifests, those it shares with other repositories among them. */
  bytes: number
}

export interface RepositoryRemoval {
  tags: number
  manifests: number
  /** Blobs that the repository no longer holds. */
  links: number
}

/** A manifest that no tag, index or subject leads to. */
export interface UntaggedManifest {
  repository: string
  digest: Digest
  mediaType: string
  /** Bytes of the manifest and of everything it names directly. */
  size: number
  /** ms since epoch: when it was pushed, lost its last tag or was pulled by digest. Absent: before that was recorded. */
  used?: number
}

/**
 * Something wrong with what is stored. `corrupt` and `missing`: bytes that were here, that a repository holds, and that are
 * lost until they are pushed again. `unindexed`: blocks that peers cannot find. `stray`: a file that no record knows.
 */
export interface Damage {
  digest: Digest
  kind: LossKind
  problem: 'corrupt' | 'missing' | 'unindexed' | 'stray'
  /** Of a loss: ms since epoch, when it was found. */
  since?: number
  /** Path of the bytes that were put aside, while they are there. */
  quarantined?: string
  /** Of a stray: whether its bytes hash to its name, so that they are as good as ever. */
  sound?: boolean
  repaired: boolean
  /** `repository:tag` or `repository@digest` of the images that need it. */
  images: string[]
}

/** An image of which something was never here. No damage. */
export interface Incomplete {
  /** `repository:tag` or `repository@digest`. */
  image: string
  /** Layers that its manifest says are kept elsewhere. */
  foreign: number
  /** Other blobs and manifests that it names and nobody pushed. */
  absent: number
}

export interface ScrubReport {
  blobs: number
  manifests: number
  bytes: number
  damages: number
  incomplete: number
  /** What lies under `quarantine/`; counted at the end. */
  quarantine: { files: number; bytes: number }
}

export interface ScrubOptions extends AbortOptions {
  /** Mend what can be mended without the bytes: re-index, put strays aside. Default false. */
  repair?: boolean
  onProgress?: (report: Readonly<ScrubReport>) => void
  onDamage?: (damage: Damage) => void
  onIncomplete?: (incomplete: Incomplete) => void
}

/** How much is lost and has not come back. */
export interface DamageCounts {
  blobs: number
  manifests: number
}

/** A file under `quarantine/`. */
export interface AsideFile extends Omit<QuarantinedFile, 'path'> {
  /** `replaced`: the bytes are here again. `lost`: a repository still waits for them. `unneeded`: no repository has them. */
  state: 'replaced' | 'lost' | 'unneeded'
}

export interface InspectedLayer {
  mediaType: string
  digest: Digest
  size: number
  /** Absent when the blob is not on this disk. */
  cid?: string
  /** It was on this disk, and its bytes rotted or are gone. */
  lost?: true
}

export interface Inspection {
  repository: string
  tag?: string
  digest: Digest
  mediaType: string
  size: number
  /** CID of the manifest's own bytes. */
  cid: string
  imageCid?: string
  manifest: unknown
  config?: InspectedLayer & { content?: unknown }
  layers: InspectedLayer[]
  manifests: (InspectedLayer & {
    platform?: unknown
    imageCid?: string
    /** Bytes of the manifest and of everything it names directly; absent when it is not here. */
    total?: number
  })[]
  subject?: WellFormedDigest
}

export interface OpenBlobOptions extends AbortOptions {
  /**
   * Asks whether the caller may have this node get something from elsewhere, and throws what it is told when not. Called
   * before a fetch is begun or joined. Absent: it may not, and what is not on this disk is unknown.
   */
  demandFetch?(): void
}

/** Everything a door may ask of the registry. */
export interface Registry {
  /** end-2 HEAD. @throws {RegistryError} BLOB_UNKNOWN */
  statBlob(repository: string, digest: Digest, options?: AbortOptions): Promise<BlobView>
  /**
   * end-2. A blob that is the repository's but not on this disk is fetched, where there are sources and the caller may have
   * that done; {@link statBlob} and {@link mountBlob} answer for this disk only.
   *
   * @throws {RegistryError} BLOB_UNKNOWN, UNAVAILABLE with `Retry-After`; by the quota of what is fetched TOOMANYREQUESTS
   *   with `Retry-After`, or BLOB_TOO_LARGE
   */
  openBlob(repository: string, digest: Digest, options?: OpenBlobOptions): Promise<BlobReading>
  /**
   * end-10: takes the blob out of the repository; GC frees the bytes when no repository holds it.
   *
   * @throws {RegistryError} BLOB_UNKNOWN, what `refuseBelow` gives for a tag above it, UNAVAILABLE
   */
  deleteBlob(repository: string, digest: Digest, options?: AbortOptions & { refuseBelow?: RefuseMove }): Promise<void>

  /** end-4a, end-4c. @throws {RegistryError} TOOMANYREQUESTS when too many sessions are open */
  startUpload(repository: string, algorithm: DigestAlgorithm, options?: AbortOptions): Promise<UploadView>
  /**
   * end-11. With `from`: that repository must hold it. Without: any repository that `mayPull` allows.
   * `undefined` is a miss, whatever its reason.
   */
  mountBlob(
    repository: string,
    digest: Digest,
    from: string | undefined,
    mayPull: (repository: string) => boolean,
    options?: AbortOptions
  ): Promise<BlobView | undefined>
  /** end-13. @throws {RegistryError} BLOB_UPLOAD_UNKNOWN */
  uploadStatus(repository: string, id: string, options?: AbortOptions): Promise<UploadView>
  /** end-5. @throws {RegistryError} BLOB_UPLOAD_UNKNOWN, BLOB_UPLOAD_OUT_OF_ORDER, BLOB_UPLOAD_BUSY, SIZE_INVALID, STORAGE_FULL */
  appendUpload(repository: string, id: string, body: UploadBody, options?: AbortOptions): Promise<UploadView>
  /**
   * end-6, end-4b: takes the body if there is one, verifies, commits durably. Where the session is gone and the repository holds the
   * digest, this is a repetition: its body is read away.
   *
   * @throws as append, and DIGEST_INVALID
   */
  finishUpload(
    repository: string,
    id: string,
    digest: Digest,
    body: UploadBody | undefined,
    options?: AbortOptions
  ): Promise<BlobView>
  /** end-14. @throws {RegistryError} BLOB_UPLOAD_UNKNOWN */
  cancelUpload(repository: string, id: string, options?: AbortOptions): Promise<void>

  /** end-3. @throws {RegistryError} MANIFEST_UNKNOWN, or NAME_UNKNOWN when there is no such repository */
  getManifest(
    repository: string,
    reference: { tag: string } | { digest: Digest },
    options?: AbortOptions
  ): Promise<ManifestReading>
  /**
   * end-7a, end-7b.
   *
   * @throws {RegistryErrors} MANIFEST_BLOB_UNKNOWN for each missing one
   * @throws {RegistryError} MANIFEST_INVALID, DIGEST_INVALID, MANIFEST_CHANGED, STORAGE_FULL, what `refuseMove` gives
   */
  putManifest(repository: string, request: PutManifestRequest, options?: AbortOptions): Promise<PutManifestResult>
  /**
   * end-9 by digest: its tags go with it, or none of it all; of more than 2,000 most go before it.
   *
   * @throws {RegistryError} MANIFEST_UNKNOWN, MANIFEST_CHANGED, what `refuseMove` gives, or `refuseBelow` for a tag above it
   */
  deleteManifest(
    repository: string,
    digest: Digest,
    options?: AbortOptions & { refuseMove?: RefuseMove; refuseBelow?: RefuseMove; ifMatch?: IfMatch }
  ): Promise<void>
  /** end-9 by tag: only the tag goes. @throws {RegistryError} MANIFEST_UNKNOWN, MANIFEST_CHANGED */
  deleteTag(repository: string, tag: string, options?: AbortOptions & { ifMatch?: IfMatch }): Promise<void>

  /** What {@link removeTag} would do for each of these tags, all of them removed. Nothing is changed. */
  planTagRemoval(repository: string, tags: readonly string[], options?: AbortOptions): Promise<TagRemovalPlan>
  /**
   * As `docker rmi`: the tag, then the manifest when no tag, index or subject leads to it, and with a manifest those that
   * only it led to: children of an index, referrers. Broken off, it leaves manifests without a tag.
   *
   * @param options - `digest`: what the tag has to name
   * @throws {RegistryError} MANIFEST_UNKNOWN, MANIFEST_CHANGED
   */
  removeTag(
    repository: string,
    tag: string,
    options?: AbortOptions & { digest?: Digest; onManifest?: (removed: RemovedManifest) => void }
  ): Promise<TagRemoval>
  /** @throws {RegistryError} NAME_UNKNOWN */
  planRepositoryRemoval(repository: string, options?: AbortOptions): Promise<RepositoryRemovalPlan>
  /**
   * Every tag, then every manifest and blob of the repository; what is pushed meanwhile stays. Broken off, it is gone on
   * with by the next.
   *
   * @throws {RegistryError} NAME_UNKNOWN
   */
  removeRepository(
    repository: string,
    options?: AbortOptions & { onProgress?: (done: Readonly<RepositoryRemoval>) => void }
  ): Promise<RepositoryRemoval>
  /** Manifests that no tag, index or subject leads to, by repository and digest. */
  untagged(options?: AbortOptions & { repository?: string }): AsyncIterable<UntaggedManifest>

  /** end-8. @throws {RegistryError} NAME_UNKNOWN */
  listTags(repository: string, page: PageRequest): Promise<Page<string>>
  /**
   * `_catalog` of the original Docker API, names in byte order. `visible` filters by access.
   *
   * @param page - `under` says where to look at all, as {@link RepositoryOptions} has it
   */
  listRepositories(
    page: PageRequest & Pick<RepositoryOptions, 'under'>,
    visible: (repository: string) => boolean
  ): Promise<Page<string>>
  /** end-12. Never "not found". */
  listReferrers(
    repository: string,
    subject: WellFormedDigest,
    page: PageRequest & { artifactType?: string }
  ): Promise<Page<ReferrerDescriptor>>

  inspect(
    repository: string,
    reference: { tag: string } | { digest: Digest },
    options?: AbortOptions
  ): Promise<Inspection>
  collectGarbage(options?: GcOptions): Promise<GcReport>
  /** Removes upload sessions started before the age. Returns how many. */
  purgeUploads(olderThanMs: number, options?: AbortOptions & { dryRun?: boolean }): Promise<number>
  scrub(options?: ScrubOptions): Promise<ScrubReport>
  /** Cheap: asked at every scrape and probe. */
  countDamage(options?: AbortOptions): Promise<DamageCounts>
  /** Files under `quarantine/`, in no order. */
  listQuarantine(options?: AbortOptions): AsyncIterable<AsideFile>
  /** Removes one of them for good. @throws {RegistryError} NOT_FOUND */
  removeQuarantined(name: string, options?: AbortOptions): Promise<void>
}
