import type { Digest } from '../../oci/digest.ts'
import { type Manifest, readManifest, referencedDescriptors } from '../../oci/manifest.ts'
import { PreconditionFailed, type RevisionRecord } from '../ports.ts'
import type { Incomplete } from '../registry.ts'
import { recordMissingManifest } from './lost-manifests.ts'
import { reportLoss, type ScrubRun } from './scrub-report.ts'

/**
 * What a repository holds by name and has not by bytes. A link is made only where the blob is, and a revision with its
 * manifest: either without its bytes is a loss, also one from before losses were recorded. What a manifest names without
 * a link was never here, and is no damage.
 */
export async function scrubRepository(run: ScrubRun, repository: string): Promise<void> {
  const { registration, options } = run
  const { metadata } = registration
  for await (const { digest } of metadata.links(repository, options)) {
    if ((await metadata.blob(digest, options)) !== undefined) continue
    if ((await metadata.loss('blob', digest, options)) !== undefined) continue
    if (await recordMissingBlob(run, repository, digest)) await reportLoss(run, 'blob', digest)
  }
  for await (const { digest, record } of metadata.revisions(repository, options)) {
    options.signal?.throwIfAborted()
    const bytes = await metadata.manifestBytes(digest, options)
    if (bytes !== undefined) await reportIfIncomplete(run, repository, digest, record, bytes)
    else if ((await metadata.loss('manifest', digest, options)) === undefined) {
      if (await recordMissingManifest(registration, repository, digest, 'scrub'))
        await reportLoss(run, 'manifest', digest)
    }
  }
}

/** `false` when it was pushed or deleted meanwhile. */
async function recordMissingBlob({ registration }: ScrubRun, repository: string, digest: Digest): Promise<boolean> {
  try {
    const record = { problem: 'missing', at: registration.clock.now(), foundBy: 'scrub' } as const
    await registration.metadata.commit(
      [{ type: 'putLoss', kind: 'blob', digest, record }],
      [
        { type: 'linkExists', repository, digest },
        { type: 'blobAbsent', digest }
      ]
    )
    return true
  } catch (error) {
    if (error instanceof PreconditionFailed) return false
    throw error
  }
}

async function reportIfIncomplete(
  run: ScrubRun,
  repository: string,
  digest: Digest,
  { mediaType }: RevisionRecord,
  bytes: Uint8Array
): Promise<void> {
  const { registration, options, report } = run
  // A manifest that has an image CID is whole in one repository, which is nearly always this one.
  if ((await registration.metadata.image(digest, options)) !== undefined) return
  const missing = await neverHere(run, repository, readManifest(bytes, mediaType))
  if (missing.foreign + missing.absent === 0) return
  report.incomplete++
  options.onIncomplete?.({ image: await nameOf(run, repository, digest), ...missing })
}

/** What the manifest names and the repository was never given. */
async function neverHere(
  { registration: { metadata }, options }: ScrubRun,
  repository: string,
  manifest: Manifest
): Promise<Pick<Incomplete, 'foreign' | 'absent'>> {
  const missing = { foreign: 0, absent: 0 }
  for (const { digest, nondistributable } of referencedDescriptors(manifest)) {
    if ((await metadata.link(repository, digest, options)) !== undefined) continue
    if ((await metadata.revision(repository, digest, options)) !== undefined) continue
    if (nondistributable) missing.foreign++
    else missing.absent++
  }
  return missing
}

async function nameOf({ registration, options }: ScrubRun, repository: string, digest: Digest): Promise<string> {
  for await (const tag of registration.metadata.tagsOf(repository, digest, options)) return `${repository}:${tag}`
  return `${repository}@${digest}`
}
