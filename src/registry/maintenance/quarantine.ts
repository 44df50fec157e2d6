import { createHash } from 'node:crypto'
import { algorithmOf, type Digest, finishDigest } from '../../oci/digest.ts'
import { blockMultihashes } from '../blobs/leaves.ts'
import type { Registration } from '../components.ts'
import { reviseImages } from '../images/revise.ts'
import type { AbortOptions, BlobFile, BlobRecord, LossRecord, QuarantinedFile } from '../ports.ts'
import { hashLeaves } from './hash-leaves.ts'

/** What hashing a blob's file found. */
export type Finding = 'sound' | 'corrupt' | 'missing'

/** Hashes a blob's file as it is on disk. */
export async function examine(
  registration: Registration,
  digest: Digest,
  record: BlobRecord,
  options?: AbortOptions
): Promise<Finding> {
  const file = await registration.files.open(digest)
  if (file === undefined) return 'missing'
  try {
    if (file.size !== record.size) return 'corrupt'
    return (await hashesToDigest(registration, file, digest, record, options)) ? 'sound' : 'corrupt'
  } finally {
    await file.close()
  }
}

async function hashesToDigest(
  registration: Registration,
  file: BlobFile,
  digest: Digest,
  record: BlobRecord,
  options?: AbortOptions
): Promise<boolean> {
  const algorithm = algorithmOf(digest)
  const whole = createHash(algorithm)
  const leaves = await hashLeaves(file, record.size, leaf => whole.update(leaf), options)
  const { root } = registration.dags.file({ size: record.size, leaves })
  return finishDigest(whole, algorithm) === digest && root.equals(record.root)
}

/**
 * After a read met bytes that do not hash: looks again at the whole file, and if it is really rotten, takes it out of the
 * way, so that `HEAD` stops claiming the blob and the next push heals it. Works on behind the failed request.
 */
export function confirmRot(registration: Registration, digest: Digest): void {
  const { verified, examining, log } = registration
  verified.delete(digest)
  if (examining.has(digest)) return
  examining.add(digest)
  quarantineIfRotten(registration, digest)
    .catch(error => log.error({ err: error, digest }, 'could not examine a blob whose bytes did not hash'))
    .finally(() => examining.delete(digest))
}

async function quarantineIfRotten(registration: Registration, digest: Digest): Promise<void> {
  const record = await registration.metadata.blob(digest)
  if (record === undefined) return
  const finding = await examine(registration, digest, record)
  if (finding !== 'sound') await quarantine(registration, digest, 'read')
}

/** What became of a blob that was to be put aside. */
export interface PutAside {
  problem: LossRecord['problem']
  /** Where the bytes are, if there were any. */
  file?: QuarantinedFile
  /** Whether a repository holds it, so that it is lost to somebody. */
  lost: boolean
}

/**
 * Forgets the bytes of a blob but not who should have them: repositories keep their links, manifests stay, and a push of
 * the same digest makes everything whole again. That it is lost is recorded in the same batch. `undefined` when the blob
 * is sound, or deleted meanwhile.
 */
export async function quarantine(
  registration: Registration,
  digest: Digest,
  foundBy: LossRecord['foundBy']
): Promise<PutAside | undefined> {
  const { metadata, blobLocks, log } = registration
  const aside = await blobLocks.run(digest, () => takeAside(registration, digest, foundBy))
  if (aside === undefined) return undefined
  for await (const repository of metadata.holders(digest)) await reviseImages(registration, repository, digest)
  // Only now: a start that finds this note does the images again.
  await metadata.removed(digest)
  const { problem: finding, file } = aside
  log.error(
    { digest, finding, quarantined: file?.path },
    'blob is damaged: its bytes were taken out of service; push it again to heal it'
  )
  return { ...aside, lost: (await metadata.loss('blob', digest)) !== undefined }
}

async function takeAside(
  registration: Registration,
  digest: Digest,
  foundBy: LossRecord['foundBy']
): Promise<Pick<PutAside, 'problem' | 'file'> | undefined> {
  const { metadata, files, verified, clock } = registration
  const record = await metadata.blob(digest)
  const problem = record === undefined ? 'sound' : await examine(registration, digest, record)
  if (record === undefined || problem === 'sound') return undefined
  const file = await files.quarantine(digest)
  const loss: LossRecord = { problem, at: clock.now(), foundBy, ...(file && { quarantined: file.name }) }
  await metadata.commit([
    { type: 'deleteBlob', digest },
    { type: 'deleteBlocks', home: `blob:${digest}`, multihashes: await blockMultihashes(registration, record) },
    { type: 'putLoss', kind: 'blob', digest, record: loss }
  ])
  verified.delete(digest)
  return { problem, ...(file && { file }) }
}
