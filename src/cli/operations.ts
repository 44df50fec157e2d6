import type { NewToken } from '../access/new-token.ts'
import type { CreateTokenResponse, ListedToken } from '../http/control/token-protocol.ts'
import type { Identity } from '../node.ts'
import type { Digest } from '../oci/digest.ts'
import type { ManifestReference } from '../oci/reference.ts'
import type { AbortOptions } from '../registry/ports.ts'
import type {
  AsideFile,
  GcOptions,
  GcReport,
  Inspection,
  RemovedManifest,
  RepositoryRemoval,
  RepositoryRemovalPlan,
  ScrubOptions,
  ScrubReport,
  TagRemoval,
  TagRemovalPlan,
  UntaggedManifest
} from '../registry/registry.ts'

/**
 * What the commands ask of a node, whether it runs (asked over its control socket or, from afar, its admin API) or not (its
 * data folder opened here). Lists are lazy and in byte order. Disposing lets the node or the folder go.
 */
export interface Operations extends AsyncDisposable {
  /** What clients write before the name of a repository, as far as that is known. */
  readonly registryHost?: string
  /** `multiaddrs` is empty when nothing is serving. */
  id(options?: AbortOptions): Promise<Identity>
  repositories(options?: AbortOptions): AsyncIterable<string>
  /** @throws {RegistryError} NAME_UNKNOWN */
  tags(repository: string, options?: AbortOptions): AsyncIterable<string>
  /** @throws {RegistryError} NAME_UNKNOWN, MANIFEST_UNKNOWN */
  inspect(repository: string, reference: ManifestReference, options?: AbortOptions): Promise<Inspection>
  /** A tag alone, or a manifest with every tag of it. @throws {RegistryError} MANIFEST_UNKNOWN */
  remove(repository: string, reference: ManifestReference, options?: AbortOptions): Promise<void>
  /** What {@link removeTag} would do for each of these tags, all of them removed. */
  planTagRemoval(repository: string, tags: readonly string[], options?: AbortOptions): Promise<TagRemovalPlan>
  /**
   * A tag, its manifest when nothing else leads to it, and what goes with that.
   *
   * @param options - `digest`: what the tag has to name; `onManifest`: called where the folder is opened here
   * @throws {RegistryError} MANIFEST_UNKNOWN, MANIFEST_CHANGED
   */
  removeTag(
    repository: string,
    tag: string,
    options?: AbortOptions & { digest?: Digest; onManifest?: (removed: RemovedManifest) => void }
  ): Promise<TagRemoval>
  /** @throws {RegistryError} NAME_UNKNOWN */
  planRepositoryRemoval(repository: string, options?: AbortOptions): Promise<RepositoryRemovalPlan>
  /** @throws {RegistryError} NAME_UNKNOWN */
  removeRepository(
    repository: string,
    options?: AbortOptions & { onProgress?: (done: Readonly<RepositoryRemoval>) => void }
  ): Promise<RepositoryRemoval>
  /** Manifests that no tag, index or subject leads to. @throws {RegistryError} NAME_UNKNOWN */
  untagged(options?: AbortOptions & { repository?: string }): AsyncIterable<UntaggedManifest>
  collectGarbage(options?: GcOptions): Promise<GcReport>
  scrub(options?: ScrubOptions): Promise<ScrubReport>
  /** Files under `quarantine/`, in no order. */
  quarantine(options?: AbortOptions): AsyncIterable<AsideFile>
  /** @throws {RegistryError} NOT_FOUND */
  removeQuarantined(name: string, options?: AbortOptions): Promise<void>
  /** @throws {RegistryError} REQUEST_INVALID, NAME_INVALID for a pattern */
  createToken(wanted: NewToken, options?: AbortOptions): Promise<CreateTokenResponse>
  /** @param options - `all`: also those that clients keep instead of a password */
  tokens(options?: AbortOptions & { all?: boolean }): AsyncIterable<ListedToken>
  /** @throws {RegistryError} NOT_FOUND */
  removeToken(nameOrId: string, options?: AbortOptions): Promise<ListedToken>
}

export function showReference(repository: string, reference: { tag: string } | { digest: Digest }): string {
  return 'tag' in reference ? `${repository}:${reference.tag}` : `${repository}@${reference.digest}`
}
