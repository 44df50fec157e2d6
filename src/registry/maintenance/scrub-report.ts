import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { type LossKind, type LossRecord, lossKinds, type Precondition, PreconditionFailed } from '../ports.ts'
import type { Damage, ScrubOptions, ScrubReport } from '../registry.ts'
import { harmedImages } from './harm.ts'

/** One run of `scrub`. */
export interface ScrubRun {
  registration: Registration
  options: ScrubOptions
  report: ScrubReport
  /** ms since epoch. */
  started: number
}

export function reportDamage(run: ScrubRun, damage: Damage): void {
  run.report.damages++
  run.options.onDamage?.(damage)
}

/** Reports what is recorded as lost, and drops records that an older Pinnace left behind when it brought the bytes back. */
export async function reportLosses(run: ScrubRun, wanted: (loss: LossRecord) => boolean): Promise<void> {
  const { metadata } = run.registration
  for (const kind of lossKinds) {
    for await (const { digest, record } of metadata.losses(kind, run.options)) {
      if (!wanted(record)) continue
      const moot = await mootConditions(run, kind, digest)
      if (moot === undefined || !(await forget(run, kind, digest, moot))) await reportLoss(run, kind, digest)
    }
  }
}

/** What makes the record moot, as far as reads tell; `undefined` while it is lost. */
async function mootConditions(
  { registration: { metadata }, options }: ScrubRun,
  kind: LossKind,
  digest: Digest
): Promise<Precondition[] | undefined> {
  if (kind === 'blob') {
    if ((await metadata.blob(digest, options)) !== undefined) return [{ type: 'blobExists', digest }]
  } else {
    const bytes = await metadata.manifestBytes(digest, options)
    if (bytes !== undefined) return [{ type: 'manifestIs', digest, bytes }]
  }
  for await (const _repository of metadata.holders(digest, options)) return undefined
  return [{ type: 'unlinked', digest }]
}

/** `false` when it is lost all the same: a read may still see a blob whose taking out of service is being written. */
async function forget(
  { registration: { metadata } }: ScrubRun,
  kind: LossKind,
  digest: Digest,
  moot: readonly Precondition[]
): Promise<boolean> {
  try {
    await metadata.commit([{ type: 'deleteLoss', kind, digest }], moot)
    return true
  } catch (error) {
    if (error instanceof PreconditionFailed) return false
    throw error
  }
}

/** Reports a loss as it is recorded; nothing when its bytes came back meanwhile. */
export async function reportLoss(run: ScrubRun, kind: LossKind, digest: Digest): Promise<void> {
  const { registration, options } = run
  const loss = await registration.metadata.loss(kind, digest, options)
  if (loss === undefined) return
  const file = loss.quarantined === undefined ? undefined : await registration.files.quarantined(loss.quarantined)
  reportDamage(run, {
    digest,
    kind,
    problem: loss.problem,
    since: loss.at,
    images: await harmedImages(registration, digest, options),
    repaired: false,
    ...(file && { quarantined: file.path })
  })
}
