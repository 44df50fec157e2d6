import { algorithmOf, type Digest, digestOf, encodedOf } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { dropImage, reviseImages } from '../images/revise.ts'
import { type LossRecord, type Mutation, type Precondition, PreconditionFailed } from '../ports.ts'

/**
 * Takes a manifest whose stored bytes do not hash out of service: the bytes go to `quarantine/`, `HEAD` stops claiming it,
 * tags and references stay, and a push of the same bytes makes it whole again. `false` when it was pushed again or deleted
 * meanwhile.
 */
export async function quarantineManifest(
  registration: Registration,
  digest: Digest,
  bytes: Uint8Array,
  foundBy: LossRecord['foundBy']
): Promise<boolean> {
  const { metadata, files, clock, log } = registration
  const file = await files.quarantineBytes(digest, bytes)
  const record: LossRecord = { problem: 'corrupt', at: clock.now(), foundBy, quarantined: file.name }
  const image = await metadata.image(digest)
  const taken = await commitUnlessChanged(
    registration,
    [
      { type: 'deleteManifest', digest },
      ...ownBlock(digest),
      ...(image === undefined ? [] : await dropImage(registration, digest, image)),
      { type: 'putLoss', kind: 'manifest', digest, record }
    ],
    [{ type: 'manifestIs', digest, bytes }]
  )
  if (!taken) {
    await files.removeQuarantined(file.name)
    return false
  }
  await reviseAbove(registration, digest)
  log.error(
    { digest, quarantined: file.path },
    'manifest is damaged: its bytes were taken out of service; push it again to heal it'
  )
  return true
}

/** After a read met a manifest whose bytes do not hash: puts it aside. Works on behind the failed request. */
export function confirmManifestRot(registration: Registration, digest: Digest, bytes: Uint8Array): void {
  const { examining, log } = registration
  if (examining.has(digest)) return
  examining.add(digest)
  quarantineManifest(registration, digest, bytes, 'read')
    .catch(error => log.error({ err: error, digest }, 'could not put aside a manifest whose bytes did not hash'))
    .finally(() => examining.delete(digest))
}

/** A repository names a manifest of which there are no bytes. `false` when there are by now, or nobody names it any more. */
export async function recordMissingManifest(
  registration: Registration,
  repository: string,
  digest: Digest,
  foundBy: LossRecord['foundBy']
): Promise<boolean> {
  const record: LossRecord = { problem: 'missing', at: registration.clock.now(), foundBy }
  const image = await registration.metadata.image(digest)
  const recorded = await commitUnlessChanged(
    registration,
    [
      { type: 'putLoss', kind: 'manifest', digest, record },
      ...(image === undefined ? [] : await dropImage(registration, digest, image))
    ],
    [
      { type: 'revisionExists', repository, digest },
      { type: 'manifestIs', digest, bytes: undefined }
    ]
  )
  if (recorded) await reviseAbove(registration, digest)
  return recorded
}

/** Whether stored bytes are still those of their digest. */
export function isSoundManifest(digest: Digest, bytes: Uint8Array): boolean {
  return digestOf(bytes, algorithmOf(digest)) === digest
}

async function commitUnlessChanged(
  { metadata }: Registration,
  mutations: Mutation[],
  conditions: Precondition[]
): Promise<boolean> {
  try {
    await metadata.commit(mutations, conditions)
    return true
  } catch (error) {
    if (error instanceof PreconditionFailed) return false
    throw error
  }
}

async function reviseAbove(registration: Registration, digest: Digest): Promise<void> {
  for await (const repository of registration.metadata.holders(digest))
    await reviseImages(registration, repository, digest)
}

/** Up to 1 MiB a manifest is one block, which carries the very hash of its digest; its bytes tell nothing any more. */
function ownBlock(digest: Digest): Mutation[] {
  if (algorithmOf(digest) !== 'sha256') return []
  const multihash = Buffer.concat([Buffer.from([0x12, 0x20]), Buffer.from(encodedOf(digest), 'hex')])
  return [{ type: 'deleteBlocks', home: `manifest:${digest}`, multihashes: [multihash] }]
}
