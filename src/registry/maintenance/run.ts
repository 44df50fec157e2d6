import type { Digest } from '../../oci/digest.ts'
import type { Manifest } from '../../oci/manifest.ts'
import type { Registration } from '../components.ts'
import type { RevisionRecord } from '../ports.ts'
import type { GcOptions, GcReport } from '../registry.ts'
import type { Ledger } from './ledger.ts'

/** One run of garbage collection over all repositories, or of the removal of one. */
export interface Run {
  registration: Registration
  options: GcOptions
  report: GcReport
  ledger: Ledger
  /** Links and manifests pushed, mounted or relied on after this, ms since epoch, are spared. */
  before: number
  /** Untagged manifests used after this, ms since epoch, are kept: all when `undefined`, none when infinite. */
  unusedBefore: number | undefined
  /** Only this one. */
  repository?: string
  /**
   * A subject to which no tag leads keeps no referrers. Of manifests that keep each other, as an index of its own subject and
   * that subject do, none would go otherwise.
   */
  cycles?: boolean
  /** In a dry run: tags that would be gone as well. */
  tagsGone?: ReadonlySet<string>
  /** Told of each manifest that goes, or would in a dry run. */
  onManifest?: (gone: { repository: string; digest: Digest; record: RevisionRecord; manifest: Manifest }) => void
}

/** How the walks of a run are read. */
export function walkOptions({ options, report, repository }: Run) {
  return {
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(repository === undefined ? {} : { repository }),
    advanced: () => options.onProgress?.(report)
  }
}

/** The signal alone, for look-ups. */
export function abortable({ options }: Run): { signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal }
}

/**
 * Works on items some at a time: commits that wait at once are written, and synced, at once. The next are read when the
 * last are done.
 */
export async function inGroups<T>(
  items: AsyncIterable<T>,
  size: number,
  work: (item: T) => Promise<void>
): Promise<void> {
  let group: T[] = []
  for await (const item of items) {
    group.push(item)
    if (group.length < size) continue
    await settled(group.map(work))
    group = []
  }
  await settled(group.map(work))
}

/** All are over before a failure goes on: nobody deletes behind a run that has ended. */
async function settled(work: Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find(result => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
