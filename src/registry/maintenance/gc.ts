import { RegistryError } from '../../errors.ts'
import { leastGraceMs } from '../blobs/touch-link.ts'
import type { Registration } from '../components.ts'
import type { GcOptions, GcReport, Spared } from '../registry.ts'
import { Ledger } from './ledger.ts'
import type { Run } from './run.ts'
import { reapManifests, sweepBlobs, sweepLinks } from './sweep-blobs.ts'
import { sweepManifests } from './sweep-manifests.ts'

/**
 * Mark and sweep beside pushes. What marks a blob is the reference index that each manifest PUT writes in its own batch, so
 * there is no mark phase to race: a link goes only if, at the moment of its deletion, no manifest of the repository
 * references it and nobody relied on it during the grace period; a blob goes only if no repository links it. A few ordered
 * walks, each over two lists side by side: cost is linear in links and blobs. Memory is constant but for what is told of
 * what is spared, or would go in a dry run: 64 MiB at most.
 */
export async function collectGarbage(registration: Registration, options: GcOptions = {}): Promise<GcReport> {
  const run = startRun(registration, options)
  await sweepManifests(run)
  await sweepLinks(run)
  await sweepBlobs(run)
  await reapManifests(run)
  run.report.atLeast = run.ledger.full
  options.onProgress?.(run.report)
  return run.report
}

function startRun(registration: Registration, options: GcOptions): Run {
  const now = registration.clock.now()
  const graceMs = graceOf(registration, options)
  const untaggedMs = options.untaggedMs ?? registration.init.untaggedMs
  const report: GcReport = {
    ...emptyReport(options.dryRun),
    serving: registration.init.serving,
    graceMs,
    untaggedMs: untaggedMs ?? null
  }
  const unusedBefore =
    untaggedMs === 0 ? Number.POSITIVE_INFINITY : untaggedMs === undefined ? undefined : now - untaggedMs
  return { registration, options, report, ledger: new Ledger(), before: now - graceMs, unusedBefore }
}

/** The node's own grace period is its operator's decision; a shorter one for one run may not cost pushes under way. */
function graceOf({ init }: Registration, { graceMs, force }: GcOptions): number {
  if (graceMs === undefined) return init.graceMs
  if (!init.serving || force === true) return graceMs
  return Math.max(graceMs, Math.min(leastGraceMs, init.graceMs))
}

/** Of a run that spares nothing. */
export function emptyReport(dryRun = false): GcReport {
  const nothing = (): Spared => ({ manifests: 0, blobs: 0, bytes: 0 })
  const spared = { recent: nothing(), untagged: nothing() }
  const found = { dryRun, links: 0, manifests: 0, blobs: 0, bytes: 0, spared }
  return { ...found, serving: true, graceMs: 0, untaggedMs: 0, atLeast: false }
}

/** Only one at a time: a second asker is told so. */
export function exclusive<A extends unknown[], T>(
  what: string,
  work: (...args: A) => Promise<T>
): (...args: A) => Promise<T> {
  let running = false
  return async (...args) => {
    if (running)
      throw new RegistryError('UNAVAILABLE', {
        message: `${what} is already running`,
        headers: { 'Retry-After': '10' }
      })
    running = true
    try {
      return await work(...args)
    } finally {
      running = false
    }
  }
}
