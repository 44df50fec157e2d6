import { type Digest, isStorable } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { deleteTag } from '../manifests/delete-tag.ts'
import { manifestUnknown } from '../manifests/get.ts'
import { readStored } from '../manifests/stored.ts'
import { type AbortOptions, holds } from '../ports.ts'
import type { RemovedManifest, StaysFor, TagRemoval, TagRemovalPlan } from '../registry.ts'
import { emptyReport } from './gc.ts'
import { Ledger } from './ledger.ts'
import type { Run } from './run.ts'
import { sweepFrom } from './sweep-manifests.ts'

/** Manifests that a plan names one by one. */
const maxNamed = 100

/** A run that takes what nothing leads to, however recent it is. */
export function unsparingRun(
  registration: Registration,
  repository: string,
  options: AbortOptions,
  dryRun = false
): Run {
  const abort = options.signal === undefined ? {} : { signal: options.signal }
  const always = Number.POSITIVE_INFINITY
  const report = emptyReport(dryRun)
  return {
    registration,
    options: abort,
    report,
    ledger: new Ledger(),
    before: always,
    unusedBefore: always,
    repository
  }
}

export async function planTagRemoval(
  registration: Registration,
  repository: string,
  tags: readonly string[],
  options: AbortOptions = {}
): Promise<TagRemovalPlan> {
  const gone = new Set(tags)
  const run: Run = { ...unsparingRun(registration, repository, options, true), tagsGone: gone }
  const manifests: RemovedManifest[] = []
  run.onManifest = describing(removed => {
    if (manifests.length < maxNamed) manifests.push(removed)
  })
  const named: { tag: string; digest?: Digest }[] = []
  let whole = true
  for (const tag of gone) {
    const digest = (await registration.metadata.tag(repository, tag, options))?.digest
    named.push(digest === undefined ? { tag } : { tag, digest })
    if (digest !== undefined && !(await sweepFrom(run, { repository, digest }))) whole = false
  }
  const planned: TagRemovalPlan['tags'] = []
  for (const { tag, digest } of named) {
    if (digest === undefined) planned.push({ tag })
    else if (run.ledger.manifest(repository, digest) === holds.none) planned.push({ tag, digest })
    else {
      const stays = await staysFor(run, repository, digest)
      planned.push({ tag, digest, ...(stays && { stays }) })
    }
  }
  return { tags: planned, manifests, count: run.report.manifests, atLeast: !whole || run.ledger.full }
}

export async function removeTag(
  registration: Registration,
  repository: string,
  tag: string,
  options: AbortOptions & { digest?: Digest; onManifest?: (removed: RemovedManifest) => void } = {}
): Promise<TagRemoval> {
  const { digest: wanted, onManifest = () => undefined, ...abort } = options
  const digest = wanted ?? (await registration.metadata.tag(repository, tag, abort))?.digest
  if (digest === undefined) throw await manifestUnknown(registration, repository, { tag }, abort)
  await deleteTag(registration, repository, tag, { ...abort, ifMatch: [digest] })
  const run = { ...unsparingRun(registration, repository, abort), onManifest: describing(onManifest) }
  await sweepFrom(run, { repository, digest })
  const stays = await staysFor(run, repository, digest)
  return { digest, manifests: run.report.manifests, ...(stays && { stays }) }
}

/** With the platform that an index above it gave. Parents come before their children. */
function describing(told: (removed: RemovedManifest) => void): NonNullable<Run['onManifest']> {
  const platforms = new Map<Digest, unknown>()
  return ({ digest, record, manifest }) => {
    for (const child of manifest.manifests) {
      if (child.platform !== undefined && platforms.size < maxNamed) platforms.set(child.digest, child.platform)
    }
    const platform = platforms.get(digest)
    const { mediaType, size } = record
    told({ digest, mediaType, size, ...(platform === undefined ? {} : { platform }) })
  }
}

/** What else leads to the manifest; `undefined` when it is gone, or nothing does. */
async function staysFor(run: Run, repository: string, digest: Digest): Promise<StaysFor | undefined> {
  const { registration, options, tagsGone, ledger } = run
  const { metadata } = registration
  const abort = options.signal === undefined ? {} : { signal: options.signal }
  for await (const tag of metadata.tagsOf(repository, digest, abort)) if (tagsGone?.has(tag) !== true) return { tag }
  for await (const index of metadata.parents(repository, digest, abort)) {
    if (ledger.manifest(repository, index) !== holds.none) return { index }
  }
  const subject = (await readStored(registration, repository, digest, abort))?.manifest.subject
  if (
    subject === undefined ||
    !isStorable(subject) ||
    (await metadata.revision(repository, subject, abort)) === undefined
  )
    return undefined
  return { subject }
}
