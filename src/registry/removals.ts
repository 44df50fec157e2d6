/**
 * What is removed by name, what would be, and what is left without one.
 *
 * @module
 */
import type { Digest } from '../oci/digest.ts'

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
