import { createHash } from 'node:crypto'
import { algorithmOf, type Digest, finishDigest } from '../../oci/digest.ts'
import { blockMultihashes } from '../blobs/leaves.ts'
import type { Registration } from '../components.ts'
import { reviseImages } from '../images/revise.ts'
import type { AbortOptions, BlobFile, BlobRecord } from '../ports.ts'
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
  if (finding !== 'sound') await quarantine(registration, digest, finding)
}

/**
 * Forgets the bytes of a blob but not who should have them: repositories keep their links, manifests stay, and a push of
 * the same digest makes everything whole again. Returns where the file went.
 */
export async function quarantine(
  registration: Registration,
  digest: Digest,
  finding: Exclude<Finding, 'sound'>
): Promise<string | undefined> {
  const { metadata, files, blobLocks, verified, log } = registration
  const moved = await blobLocks.run(digest, async () => {
    const record = await metadata.blob(digest)
    if (record === undefined || (await examine(registration, digest, record)) === 'sound') return undefined
    const path = await files.quarantine(digest)
    await metadata.commit([
      { type: 'deleteBlob', digest },
      { type: 'deleteBlocks', home: `blob:${digest}`, multihashes: await blockMultihashes(registration, record) }
    ])
    await metadata.removed(digest)
    verified.delete(digest)
    return path
  })
  for await (const repository of metadata.holders(digest)) await reviseImages(registration, repository, digest)
  log.error(
    { digest, finding, quarantined: moved },
    'blob is damaged: its bytes were taken out of service; push it again to heal it'
  )
  return moved
}
