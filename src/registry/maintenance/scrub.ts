import { createHash } from 'node:crypto'
import { algorithmOf, type Digest, finishDigest } from '../../oci/digest.ts'
import { leavesOf } from '../blobs/leaves.ts'
import type { Registration } from '../components.ts'
import type { BlobRecord } from '../ports.ts'
import type { ScrubOptions, ScrubReport } from '../registry.ts'
import { harmedImages } from './harm.ts'
import { hashLeaves } from './hash-leaves.ts'
import { isSoundManifest, quarantineManifest } from './lost-manifests.ts'
import { examine, type PutAside, quarantine } from './quarantine.ts'
import { reportDamage, reportLoss, reportLosses, type ScrubRun } from './scrub-report.ts'
import { scrubRepository } from './scrub-repository.ts'
import type { BlobEntryCheck } from './unindexed.ts'
import { findUnindexed, reindexBlob } from './unindexed.ts'

/**
 * Re-hashes everything stored and names the images that what is lost hurts: what this run finds, and what was found before
 * and has not come back. Rotten bytes are taken out of service; with `repair`, missing entries of the block index are
 * written again and files that no record knows are put aside.
 */
export async function scrub(registration: Registration, options: ScrubOptions = {}): Promise<ScrubReport> {
  const { metadata, files, clock } = registration
  const report: ScrubReport = {
    blobs: 0,
    manifests: 0,
    bytes: 0,
    damages: 0,
    incomplete: 0,
    quarantine: { files: 0, bytes: 0 }
  }
  const run: ScrubRun = { registration, options, report, started: clock.now() }
  await reportLosses(run, () => true)
  for await (const { digest, record } of metadata.blobs(options)) await scrubBlob(run, digest, record)
  for await (const digest of metadata.manifests(options)) await scrubManifest(run, digest)
  for await (const repository of metadata.repositories(options)) await scrubRepository(run, repository)
  for await (const { digest } of files.list(options)) await scrubFile(run, digest)
  // What requests met meanwhile; what this run found is reported already.
  await reportLosses(run, ({ at, foundBy }) => at >= run.started && foundBy !== 'scrub')
  for await (const { size } of files.listQuarantined(options)) {
    report.quarantine.files++
    report.quarantine.bytes += size
  }
  return report
}

async function scrubBlob(run: ScrubRun, digest: Digest, record: BlobRecord): Promise<void> {
  const { registration, options, report } = run
  options.signal?.throwIfAborted()
  const finding = await examine(registration, digest, record, options)
  if (finding === 'sound') await checkIndex(run, digest, record)
  else {
    // Deleted while it was hashed is no damage.
    const aside = await quarantine(registration, digest, 'scrub')
    if (aside?.lost) await reportLoss(run, 'blob', digest)
    else if (aside !== undefined) reportUnheld(run, digest, aside)
  }
  report.blobs++
  report.bytes += record.size
  options.onProgress?.(report)
}

/** No repository holds it: garbage collection would have taken it. */
function reportUnheld(run: ScrubRun, digest: Digest, { problem, file }: PutAside): void {
  const quarantined = file && { quarantined: file.path }
  reportDamage(run, { digest, kind: 'blob', problem, images: [], repaired: true, ...quarantined })
}

async function checkIndex(run: ScrubRun, digest: Digest, record: BlobRecord): Promise<void> {
  const { registration, options } = run
  const check: BlobEntryCheck = {
    digest,
    record,
    leaves: (range, opts) => leavesOf(registration, digest, record, range, opts)
  }
  if (!(await findUnindexed(registration, check, options))) return
  const repaired = options.repair === true
  if (repaired) await reindexBlob(registration, digest, record, options)
  const images = await harmedImages(registration, digest, options)
  reportDamage(run, { digest, kind: 'blob', problem: 'unindexed', images, repaired })
}

async function scrubManifest(run: ScrubRun, digest: Digest): Promise<void> {
  const { registration, options, report } = run
  options.signal?.throwIfAborted()
  const bytes = await registration.metadata.manifestBytes(digest, options)
  if (bytes === undefined) return
  report.manifests++
  report.bytes += bytes.length
  if (!isSoundManifest(digest, bytes) && (await quarantineManifest(registration, digest, bytes, 'scrub')))
    await reportLoss(run, 'manifest', digest)
  options.onProgress?.(report)
}

/** A file that no record knows: lost metadata leaves them, a copy by hand or another program does. */
async function scrubFile(run: ScrubRun, digest: Digest): Promise<void> {
  const { registration, options } = run
  options.signal?.throwIfAborted()
  const stray = await registration.blobLocks.run(digest, async () => {
    if ((await registration.metadata.blob(digest, options)) !== undefined) return undefined
    const sound = await hashesToItsName(run, digest)
    const file = options.repair === true ? await registration.files.quarantine(digest) : undefined
    return { sound, file }
  })
  if (stray === undefined) return
  const { sound, file } = stray
  reportDamage(run, {
    digest,
    kind: 'blob',
    problem: 'stray',
    sound,
    images: [],
    repaired: file !== undefined,
    ...(file && { quarantined: file.path })
  })
}

async function hashesToItsName({ registration, options }: ScrubRun, digest: Digest): Promise<boolean> {
  const file = await registration.files.open(digest)
  if (file === undefined) return false
  try {
    const algorithm = algorithmOf(digest)
    const whole = createHash(algorithm)
    await hashLeaves(file, file.size, leaf => whole.update(leaf), options)
    return finishDigest(whole, algorithm) === digest
  } finally {
    await file.close()
  }
}
