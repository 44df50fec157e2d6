import type { Digest } from '../../oci/digest.ts'
import { reapBlob } from '../blobs/remove.ts'
import { reapManifest } from '../manifests/delete.ts'
import { type Hold, holds, type LinkRecord, PreconditionFailed } from '../ports.ts'
import { abortable, inGroups, type Run, walkOptions } from './run.ts'

/** Links taken away at once: their commits are one write. */
const linksAtOnce = 512
/** Blobs freed at once, each a file, while their records go in one write. */
const blobsAtOnce = 64

interface Link {
  repository: string
  digest: Digest
  record: LinkRecord
}

/** Takes links away that no manifest uses and nobody relied on during the grace period. */
export async function sweepLinks(run: Run): Promise<void> {
  const { ledger, registration } = run
  const holdOf = (repository: string, parent: Digest) => ledger.manifest(repository, parent)
  const links = registration.metadata.looseLinks({ ...walkOptions(run), holdOf })
  await inGroups(links, linksAtOnce, async ({ hold: above, ...link }) => {
    const recent = above === holds.none && link.record.at > run.before
    const hold = recent ? holds.recent : above
    if (hold === holds.none && !run.report.dryRun) {
      if (await removeLink(run, link)) run.report.links++
      return
    }
    if (hold === holds.none) run.report.links++
    await enter(run, link, hold)
  })
}

/** The repository holds the digest as long as it has either, a link or a manifest of it. */
async function enter(run: Run, { repository, digest }: Link, hold: Hold): Promise<void> {
  const { ledger, registration } = run
  const revision = await registration.metadata.revision(repository, digest, abortable(run))
  const other = revision === undefined ? holds.none : ledger.manifest(repository, digest)
  ledger.setHolder(repository, digest, hold > other ? hold : other)
}

/** `false` when somebody uses the blob, or relied on the link, since it was read. */
async function removeLink(run: Run, { repository, digest, record }: Link): Promise<boolean> {
  try {
    await run.registration.metadata.commit(
      [{ type: 'deleteLink', repository, digest }],
      [
        { type: 'linkAt', repository, digest, at: record.at },
        { type: 'unreferenced', repository, digest }
      ],
      // What a power cut brings back goes with the next run; the freed blobs behind it are synced, by the one log. Who
      // asked for a repository to be removed is told that it is.
      { ...abortable(run), durable: run.repository !== undefined }
    )
    return true
  } catch (error) {
    if (error instanceof PreconditionFailed) return false
    throw error
  }
}

/** Frees blobs that no repository holds; in a dry run, that none would. */
export async function sweepBlobs(run: Run): Promise<void> {
  const { ledger, registration, report } = run
  const holdOf = (repository: string, digest: Digest) => ledger.holder(repository, digest)
  const blobs = registration.metadata.looseBlobs({ ...walkOptions(run), holdOf })
  await inGroups(blobs, blobsAtOnce, async ({ digest, size, hold }) => {
    if (hold === holds.none) {
      if (!report.dryRun && !(await reapBlob(registration, digest, abortable(run)))) return
      report.blobs++
      report.bytes += size
      return
    }
    const spared = report.spared[hold === holds.recent ? 'recent' : 'untagged']
    spared.blobs++
    spared.bytes += size
  })
}

/** What a crash between leaving the last repository and freeing the bytes left behind. */
export async function reapManifests(run: Run): Promise<void> {
  if (run.report.dryRun) return
  const manifests = run.registration.metadata.unheldManifests(walkOptions(run))
  await inGroups(manifests, blobsAtOnce, async digest => {
    await reapManifest(run.registration, digest, abortable(run))
  })
}
