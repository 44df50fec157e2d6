import type { Digest } from '../oci/digest.ts'
import type { AbortOptions, LinkRecord, RevisionRecord } from './ports.ts'

/**
 * How firmly something is kept by what names it, weakest first: not at all (what names it is going), by what is spared for
 * now because it is recent, by a manifest that no tag leads to, or by anything else.
 */
export const holds = { none: 0, recent: 1, untagged: 2, firm: 3 } as const
export type Hold = (typeof holds)[keyof typeof holds]

export interface WalkOptions extends AbortOptions {
  /** How firmly a repository's manifest (or holding) of that digest keeps what it names. Default: everything is firm. */
  holdOf?: (repository: string, digest: Digest) => Hold
  /** Called now and then, since a walk may go far between two items. */
  advanced?: () => void
}

/**
 * Walks for garbage collection: two or three ordered lists read side by side, so their cost is that of reading the lists
 * once. What is committed meanwhile may or may not be seen: what an item says is to be a precondition of what is done.
 */
export interface MetadataWalks {
  /** Manifests that neither a tag nor another manifest of their repository names, by repository and digest. */
  unnamedRevisions(
    options?: WalkOptions & { repository?: string }
  ): AsyncIterable<{ repository: string; digest: Digest; record: RevisionRecord }>
  /** Links that no manifest of their repository keeps firmly, with what keeps them most, by repository and digest. */
  looseLinks(
    options?: WalkOptions & { repository?: string }
  ): AsyncIterable<{ repository: string; digest: Digest; record: LinkRecord; hold: Hold }>
  /** Blobs that no repository holds firmly, with what holds them most. */
  looseBlobs(options?: WalkOptions): AsyncIterable<{ digest: Digest; size: number; hold: Hold }>
  /** Stored manifests that no repository holds. */
  unheldManifests(options?: WalkOptions): AsyncIterable<Digest>
}
