import type { Identity } from '../node.ts'
import type { Digest } from '../oci/digest.ts'
import type { ManifestReference } from '../oci/reference.ts'
import type { AbortOptions } from '../registry/ports.ts'
import type { GcOptions, GcReport, Inspection, ScrubOptions, ScrubReport } from '../registry/registry.ts'

/**
 * What the commands ask of a node, whether it runs (asked over its control socket) or not (its data folder opened here).
 * Lists are lazy and in byte order. Disposing lets the node
 * or the folder go.
 */
export interface Operations extends AsyncDisposable {
  /** `multiaddrs` is empty when nothing is serving. */
  id(options?: AbortOptions): Promise<Identity>
  repositories(options?: AbortOptions): AsyncIterable<string>
  /** @throws {RegistryError} NAME_UNKNOWN */
  tags(repository: string, options?: AbortOptions): AsyncIterable<string>
  /** @throws {RegistryError} NAME_UNKNOWN, MANIFEST_UNKNOWN */
  inspect(repository: string, reference: ManifestReference, options?: AbortOptions): Promise<Inspection>
  /** A tag alone, or a manifest with every tag of it. @throws {RegistryError} MANIFEST_UNKNOWN */
  remove(repository: string, reference: ManifestReference, options?: AbortOptions): Promise<void>
  collectGarbage(options?: GcOptions): Promise<GcReport>
  scrub(options?: ScrubOptions): Promise<ScrubReport>
}

export function showReference(repository: string, reference: { tag: string } | { digest: Digest }): string {
  return 'tag' in reference ? `${repository}:${reference.tag}` : `${repository}@${reference.digest}`
}
