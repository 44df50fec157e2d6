import type { CID } from 'multiformats/cid'
import type { Digest } from '../oci/digest.ts'
import type { Settler } from './blobs/settle.ts'
import type { VerifiedBlobs } from './blobs/verified.ts'
import type { KeyedLock } from './keyed-lock.ts'
import type { ReferenceUpgrade } from './manifests/reference-upgrade.ts'
import type { BlobFiles, BlobSource, Clock, DagBuilder, DiskRoom, Log, MetadataStore, UploadStaging } from './ports.ts'
import type { QuotaOf } from './quotas/quota.ts'
import type { UploadBody } from './registry.ts'

/** What `node.ts` hands to the use cases. */
export interface RegistryComponents {
  metadata: MetadataStore
  staging: UploadStaging
  files: BlobFiles
  dags: DagBuilder
  /** Asked before a manifest is stored. Default: there is always room. */
  room?: DiskRoom
  clock: Clock
  log: Log
  /** Told of every blob and image that can from now on be had by its CID: peers may be waiting for it. */
  stored?(root: CID): void
  /** Places to look for a blob that is not on this disk, best first. */
  sources?: readonly BlobSource[]
}

/** `validation.manifests.indexes` of distribution: which children an index must have. */
export type RequiredPlatforms = 'all' | 'none' | readonly { os: string; architecture: string }[]

export interface RegistryInit {
  /** `changed`: a blob is hashed at its first read and whenever its file changed since; `always`: at every read. Default `changed`. */
  verifyReads?: 'changed' | 'always'
  /** ms a link or manifest is safe from GC after it was last relied on. Default 24 h. */
  graceMs?: number
  /** ms after its last use at which a manifest goes that no tag, index or subject leads to. Default: it never does. */
  untaggedMs?: number
  /** Whether requests come in while the use cases run. Default true. */
  serving?: boolean
  /** Upload sessions open at once. Default 10,000. */
  maxUploads?: number
  /** What a manifest may reference without it being here. Default `none`. */
  sparse?: 'none' | 'indexes' | 'all'
  platforms?: RequiredPlatforms
  /** ms a request waits for another one that is writing to the same upload session. Default 10 s. */
  sessionWaitMs?: number
  /** ms without a byte after which a body is given up for another request of its upload session. Default 5 s. */
  bodySilenceMs?: number
  /** Patterns that a descriptor's `urls` must, and must not, match (`validation.manifests.urls`). */
  urls?: { allow: readonly RegExp[]; deny: readonly RegExp[] }
  /** What each repository may hold. Default: no limits. */
  quotaOf?: QuotaOf
  /** Only with {@link RegistryComponents.sources}. */
  fetch?: FetchInit
}

export interface FetchInit {
  /** ms a client waits for its first byte before it is told to come again; clients give up at 30 s. Default 15 s. */
  answerMs?: number
  /** ms without a byte after which a source is left for the next. Default 5 s. */
  stallMs?: number
  /** ms a fetch goes on after the last client hung up. Default 2 s. */
  lingerMs?: number
  /** ms a fetch goes on after a client was told to come again. Default 60 s. */
  retryMs?: number
  /** Bytes taken at most of a blob whose size no manifest says. Default 1 GiB. */
  maxUndescribedBytes?: number
}

/** Components and settings as the use cases share them. */
export interface Registration extends RegistryComponents {
  init: Required<Omit<RegistryInit, 'urls' | 'quotaOf' | 'fetch' | 'untaggedMs'>> &
    Pick<RegistryInit, 'urls' | 'quotaOf' | 'untaggedMs'>
  /** One writer a digest: commit, deletion and quarantine of the same blob never interleave. */
  blobLocks: KeyedLock
  /** One writer an upload session. */
  sessionLocks: KeyedLock
  /** Bodies being read, by upload session. */
  bodies: Map<string, UploadBody>
  verified: VerifiedBlobs
  /** Manifests as the metadata store keeps them in memory, of which the bytes were hashed: once each time they come from the disk. */
  soundManifests: WeakSet<Uint8Array>
  /** Blobs and manifests being looked at again because a read met bytes that do not hash. */
  examining: Set<Digest>
  settler: Settler
  /** Awaited by whatever frees bytes because nothing references them. */
  references: ReferenceUpgrade
}
