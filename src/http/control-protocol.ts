import { type Static, Type } from '@sinclair/typebox'
import type { OciErrorEntry, Reason } from '../errors.ts'
import type {
  Damage,
  GcReport,
  Incomplete,
  Inspection,
  RepositoryRemoval,
  ScrubReport,
  UntaggedManifest
} from '../registry/registry.ts'

/**
 * What the command line and a running node say to each other: HTTP/1.1 over a unix socket that only the node's owner can
 * open, or below `<prefix>/admin/v1` of the registry's address with a credential that has `admin`. Streams are NDJSON, one value a line; the last line of work has a
 * `result` or an `error`, and a stream that breaks off without one was cut.
 *
 * | request | body | response |
 * |---|---|---|
 * | `GET /version` | | {@link VersionResponse} |
 * | `GET /folder` (by the socket only) | | {@link FolderResponse} |
 * | `GET /id` | | {@link IdResponse} |
 * | `GET /listeners` | | {@link ListenersResponse} |
 * | `GET /ls` | | {@link ListLine}s, every repository |
 * | `GET /ls?repository=<name>` | | {@link ListLine}s, every tag of it |
 * | `POST /inspect` | {@link ImageRequest} | {@link InspectResponse} |
 * | `GET /untagged` | | {@link UntaggedLine}s |
 * | `GET /untagged?repository=<name>` | | {@link UntaggedLine}s of that repository |
 * | `POST /rm` | {@link ImageRequest} | 204; of a tag, its manifest stays |
 * | `POST /rm/plan` | {@link TagsRequest} | `TagRemovalPlan` |
 * | `POST /rm/tag` | {@link RemoveTagRequest} | `TagRemoval` |
 * | `POST /rm/all/plan` | {@link RepositoryRequest} | `RepositoryRemovalPlan` |
 * | `POST /rm/all` | {@link RepositoryRequest} | {@link RemoveRepositoryLine}s |
 * | `POST /gc` | {@link GcRequest} | {@link GcLine}s |
 * | `POST /scrub` | {@link ScrubRequest} | {@link ScrubLine}s |
 * | `/tokens` | | see {@link ./control/token-protocol.ts} |
 * | `/quarantine` | | see {@link ./control/quarantine-protocol.ts} |
 *
 * A refusal is an OCI error body with the finer reason in the header {@link reasonHeader}. Hanging up stops the work.
 *
 * @module
 */

/** Grows when an older command line could misread a node. */
export const controlProtocol = 2

/** Response header that names the {@link Reason} of an error. */
export const reasonHeader = 'pinnace-reason'

export interface VersionResponse {
  version: string
  protocol: number
}

/** The data folder of the node, as the file system numbers it, in decimal. */
export interface FolderResponse {
  device: string
  inode: string
}

export interface IdResponse {
  peerId: string
  /** Where peers reach the node; empty while libp2p is not up. */
  multiaddrs: string[]
}

/** What the node has, so that `config check` does not take it for another program. */
export interface ListenersResponse {
  /** `HOST:PORT`, `:PORT` for every interface, or `unix:PATH`. */
  listeners: readonly string[]
}

export type InspectResponse = Inspection

export const ImageRequest = Type.Union(
  [
    Type.Object({ repository: Type.String(), tag: Type.String() }, { additionalProperties: false }),
    Type.Object({ repository: Type.String(), digest: Type.String() }, { additionalProperties: false })
  ],
  { description: 'A tag or a manifest of a repository.' }
)
export type ImageRequest = Static<typeof ImageRequest>

/** Tags of one repository, of which it is asked what would go with them. */
export const TagsRequest = Type.Object(
  { repository: Type.String(), tags: Type.Array(Type.String(), { minItems: 1, maxItems: 1000 }) },
  { additionalProperties: false }
)
export type TagsRequest = Static<typeof TagsRequest>

export const RemoveTagRequest = Type.Object(
  {
    repository: Type.String(),
    tag: Type.String(),
    /** What it has to name. */
    digest: Type.Optional(Type.String())
  },
  { additionalProperties: false }
)
export type RemoveTagRequest = Static<typeof RemoveTagRequest>

export const RepositoryRequest = Type.Object({ repository: Type.String() }, { additionalProperties: false })
export type RepositoryRequest = Static<typeof RepositoryRequest>

const milliseconds = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

export const GcRequest = Type.Object(
  {
    dryRun: Type.Optional(Type.Boolean()),
    graceMs: Type.Optional(milliseconds),
    force: Type.Optional(Type.Boolean()),
    untaggedMs: Type.Optional(milliseconds),
    /** As `untaggedMs: 0`; what command lines of 0.1.0 send. */
    deleteUntagged: Type.Optional(Type.Boolean())
  },
  { additionalProperties: false }
)
export type GcRequest = Static<typeof GcRequest>

export const ScrubRequest = Type.Object({ repair: Type.Optional(Type.Boolean()) }, { additionalProperties: false })
export type ScrubRequest = Static<typeof ScrubRequest>

/** The work failed after its response had begun. */
export interface ErrorLine {
  error: { reason: Reason; errors: OciErrorEntry[] }
}

export type ListLine = { repository: string } | { tag: string } | ErrorLine
export type UntaggedLine = { untagged: UntaggedManifest } | ErrorLine
export type RemoveRepositoryLine = { progress: RepositoryRemoval } | { result: RepositoryRemoval } | ErrorLine
/** `waiting`: manifests read so far before it can begin. */
export type GcLine = { waiting: number } | { progress: GcReport } | { result: GcReport } | ErrorLine
export type ScrubLine =
  | { progress: ScrubReport }
  | { damage: Damage }
  | { incomplete: Incomplete }
  | { result: ScrubReport }
  | ErrorLine
