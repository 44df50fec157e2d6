import { type Digest, isStorable, type WellFormedDigest } from '../../oci/digest.ts'
import { removeRevision } from '../manifests/delete.ts'
import { readStored } from '../manifests/stored.ts'
import { type Hold, holds, type Precondition, type RevisionRecord } from '../ports.ts'
import { abortable, type Run, walkOptions } from './run.ts'

/**
 * Manifests that wait to be looked at because what named them goes: more than one manifest can name. Those beyond are found
 * by the next walk.
 */
const maxWaiting = 100_000
/** Walks at most, however much waits. */
const maxWalks = 32

interface Found {
  repository: string
  digest: Digest
}

/**
 * Manifests that no tag, index or subject leads to: deleted when their time is over, entered as spared otherwise. One walk
 * finds those that nothing names; with each go those that only it named (children of an index) or that were there for its
 * sake (its referrers), at once, so the order of digests decides nothing.
 */
export async function sweepManifests(run: Run): Promise<void> {
  for (let walk = 0, left = true; left && walk < maxWalks; walk++) {
    left = false
    for await (const { repository, digest } of run.registration.metadata.unnamedRevisions(walkOptions(run))) {
      if (!(await sweepFrom(run, { repository, digest }))) left = true
    }
  }
}

/**
 * One manifest, if nothing leads to it, and what goes with it.
 *
 * @returns `false` when more waited than was remembered
 */
export async function sweepFrom(run: Run, first: Found): Promise<boolean> {
  const waiting = [first]
  let whole = true
  for (let found = waiting.pop(); found !== undefined; found = waiting.pop()) {
    for await (const next of sweepOne(run, found)) {
      if (waiting.length < maxWaiting) waiting.push(next)
      else whole = false
    }
  }
  return whole
}

/** Decides about one manifest; gives those to look at again because of it. */
async function* sweepOne(run: Run, found: Found): AsyncGenerator<Found> {
  const { registration, ledger } = run
  const { repository, digest } = found
  if (ledger.hasManifest(repository, digest)) return
  const read = await readStored(registration, repository, digest, abortable(run))
  if (read === undefined) return
  const { record, manifest } = read
  const { subject } = manifest
  const above = await holdAbove(run, found, subject)
  if (above === holds.firm) return
  const hold = above === holds.none ? await ownHold(run, found, record) : above
  if (hold === holds.none && !run.report.dryRun) {
    if (!(await remove(run, found, record, subject))) return
  } else await enter(run, found, hold)
  if (hold === holds.none) {
    run.report.manifests++
    run.onManifest?.({ ...found, record, manifest })
  } else if (above === holds.none) run.report.spared[hold === holds.recent ? 'recent' : 'untagged'].manifests++
  for (const name of manifest.names) {
    if ((await registration.metadata.revision(repository, name, abortable(run))) !== undefined)
      yield { repository, digest: name }
  }
  for await (const referrer of registration.metadata.referrers(repository, digest, abortable(run)))
    yield { repository, digest: referrer.digest }
}

/** How firmly tags, other manifests and the subject keep it. */
async function holdAbove(
  run: Run,
  { repository, digest }: Found,
  subject: WellFormedDigest | undefined
): Promise<Hold> {
  const { ledger, registration, tagsGone } = run
  const { metadata } = registration
  for await (const tag of metadata.tagsOf(repository, digest, abortable(run)))
    if (tagsGone?.has(tag) !== true) return holds.firm
  let found: Hold = holds.none
  for await (const parent of metadata.parents(repository, digest, abortable(run))) {
    const hold = ledger.manifest(repository, parent)
    if (hold > found) found = hold
    if (found === holds.firm) return found
  }
  // What cannot be stored is not here.
  if (subject === undefined || !isStorable(subject)) return found
  if ((await metadata.revision(repository, subject, abortable(run))) === undefined) return found
  if (run.cycles === true && !(await isBelowTag(run, { repository, digest: subject }))) return found
  const hold = ledger.manifest(repository, subject)
  return hold > found ? hold : found
}

async function isBelowTag(run: Run, { repository, digest }: Found): Promise<boolean> {
  const { metadata } = run.registration
  const seen = new Set([digest])
  for (const below of seen) {
    for await (const _tag of metadata.tagsOf(repository, below, abortable(run))) return true
    for await (const parent of metadata.parents(repository, below, abortable(run))) seen.add(parent)
  }
  return false
}

/** How firmly its own time keeps a manifest that nothing leads to. */
async function ownHold(run: Run, { repository, digest }: Found, { at, used }: RevisionRecord): Promise<Hold> {
  const { before, unusedBefore, report, registration } = run
  if (at > before) return holds.recent
  if (unusedBefore === undefined) return holds.untagged
  if (unusedBefore === Number.POSITIVE_INFINITY) return holds.none
  if (used !== undefined) return used > unusedBefore ? holds.untagged : holds.none
  // Its record is of a version that did not say when it lost its tags: it may have been a moment ago. Now its time begins.
  if (!report.dryRun) {
    const now = registration.clock.now()
    await registration.metadata.commit([{ type: 'useRevision', repository, digest, at: now }], [], { durable: false })
  }
  return holds.untagged
}

async function enter(run: Run, { repository, digest }: Found, hold: Hold): Promise<void> {
  run.ledger.setManifest(repository, digest, hold)
  // Where it is linked as a blob too, the walk over links says how it is held.
  const link = await run.registration.metadata.link(repository, digest, abortable(run))
  if (link === undefined) run.ledger.setHolder(repository, digest, hold)
}

/** `false` when something leads to it again, or it was pushed again. */
async function remove(
  run: Run,
  { repository, digest }: Found,
  { at, used }: RevisionRecord,
  subject: WellFormedDigest | undefined
): Promise<boolean> {
  const conditions: Precondition[] = [
    { type: 'revisionAt', repository, digest, at },
    { type: 'untagged', repository, digest },
    { type: 'unreferenced', repository, digest }
  ]
  if (Number.isFinite(run.unusedBefore)) conditions.push({ type: 'revisionUsed', repository, digest, used })
  if (subject !== undefined && isStorable(subject)) {
    const gone: Precondition = { type: 'revisionIs', repository, digest: subject, mediaType: undefined }
    conditions.push(run.cycles === true ? { type: 'untagged', repository, digest: subject } : gone)
  }
  return removeRevision(run.registration, repository, digest, conditions, abortable(run))
}
