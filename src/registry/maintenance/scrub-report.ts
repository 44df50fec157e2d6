import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { type LossKind, type LossRecord, lossKinds } from '../ports.ts'
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
      if (await isLost(run, kind, digest)) await reportLoss(run, kind, digest)
      else await metadata.commit([{ type: 'deleteLoss', kind, digest }])
    }
  }
}

async function isLost({ registration: { metadata }, options }: ScrubRun, kind: LossKind, digest: Digest) {
  const here = kind === 'blob' ? await metadata.blob(digest, options) : await metadata.manifestBytes(digest, options)
  if (here !== undefined) return false
  for await (const _repository of metadata.holders(digest, options)) return true
  return false
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
