import { algorithmOf, type Digest, digestOf } from '../../oci/digest.ts'
import { leavesOf } from '../blobs/leaves.ts'
import type { Registration } from '../components.ts'
import type { BlobRecord } from '../ports.ts'
import type { Damage, ScrubOptions, ScrubReport } from '../registry.ts'
import { harmedImages } from './harm.ts'
import { examine, quarantine } from './quarantine.ts'
import type { BlobEntryCheck } from './unindexed.ts'
import { findUnindexed, reindexBlob } from './unindexed.ts'

interface Run {
  registration: Registration
  options: ScrubOptions
  report: ScrubReport
}

/**
 * Re-hashes everything stored. Rotten blobs are taken out of service and the images they hurt are named; with `repair`,
 * missing entries of the block index are written again and files no record knows are removed.
 */
export async function scrub(registration: Registration, options: ScrubOptions = {}): Promise<ScrubReport> {
  const run: Run = { registration, options, report: { blobs: 0, manifests: 0, bytes: 0, damages: 0 } }
  for await (const { digest, record } of registration.metadata.blobs(options)) await scrubBlob(run, digest, record)
  for await (const digest of registration.metadata.manifests(options)) await scrubManifest(run, digest)
  for await (const { digest } of registration.files.list(options)) await scrubFile(run, digest)
  return run.report
}

function damaged(run: Run, damage: Damage): void {
  run.report.damages++
  run.options.onDamage?.(damage)
}

async function scrubBlob(run: Run, digest: Digest, record: BlobRecord): Promise<void> {
  const { registration, options, report } = run
  options.signal?.throwIfAborted()
  const finding = await examine(registration, digest, record, options)
  // Deleted while it was hashed is no damage.
  const gone = finding !== 'sound' && (await registration.metadata.blob(digest, options)) === undefined
  if (finding === 'sound') await checkIndex(run, digest, record)
  else if (!gone) {
    const images = await harmedImages(registration, digest, options)
    const quarantined = await quarantine(registration, digest, finding)
    damaged(run, {
      digest,
      problem: finding,
      images,
      repaired: false,
      ...(quarantined === undefined ? {} : { quarantined })
    })
  }
  report.blobs++
  report.bytes += record.size
  options.onProgress?.(report)
}

async function checkIndex(run: Run, digest: Digest, record: BlobRecord): Promise<void> {
  const { registration, options } = run
  const check: BlobEntryCheck = {
    digest,
    record,
    leaves: (range, opts) => leavesOf(registration, digest, record, range, opts)
  }
  if (!(await findUnindexed(registration, check, options))) return
  const repaired = options.repair === true
  if (repaired) await reindexBlob(registration, digest, record, options)
  damaged(run, { digest, problem: 'unindexed', images: await harmedImages(registration, digest, options), repaired })
}

async function scrubManifest(run: Run, digest: Digest): Promise<void> {
  const { registration, options, report } = run
  options.signal?.throwIfAborted()
  const bytes = await registration.metadata.manifestBytes(digest, options)
  if (bytes === undefined) return
  report.manifests++
  report.bytes += bytes.length
  if (digestOf(bytes, algorithmOf(digest)) !== digest) {
    damaged(run, {
      digest,
      problem: 'corrupt',
      images: await harmedImages(registration, digest, options),
      repaired: false
    })
  }
  options.onProgress?.(report)
}

/** A file that no record knows: nothing of ours leaves one, a copy by hand or another program does. */
async function scrubFile(run: Run, digest: Digest): Promise<void> {
  const { registration, options } = run
  options.signal?.throwIfAborted()
  const removed = await registration.blobLocks.run(digest, async () => {
    if ((await registration.metadata.blob(digest, options)) !== undefined) return undefined
    if (options.repair === true) await registration.files.remove(digest)
    return options.repair === true
  })
  if (removed !== undefined) damaged(run, { digest, problem: 'stray', images: [], repaired: removed })
}
