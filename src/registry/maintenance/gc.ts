import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import { readManifest } from '../../oci/manifest.ts'
import { reapBlob } from '../blobs/remove.ts'
import type { Registration } from '../components.ts'
import { reapManifest, removeRevision } from '../manifests/delete.ts'
import { PreconditionFailed } from '../ports.ts'
import type { GcOptions, GcReport } from '../registry.ts'

/** Items between two breaths for the event loop. */
const slice = 64

interface Run {
  registration: Registration
  options: GcOptions
  report: GcReport
  /** Links and manifests touched after this, ms since epoch, are spared. */
  before: number
}

/**
 * Mark and sweep beside pushes. What marks a blob is the reference index that each manifest PUT writes in its own batch, so
 * there is no mark phase to race: a link goes only if, at the moment of its deletion, no manifest of the repository
 * references it and nobody relied on it during the grace period; a blob goes only if no repository links it. One ordered
 * walk with constant memory: cost is linear in links and blobs.
 */
export async function collectGarbage(registration: Registration, options: GcOptions = {}): Promise<GcReport> {
  const report: GcReport = { dryRun: options.dryRun === true, links: 0, manifests: 0, blobs: 0, bytes: 0, uploads: 0 }
  const run: Run = { registration, options, report, before: registration.clock.now() - registration.init.graceMs }
  if (options.deleteUntagged === true) await sweepUntagged(run)
  await sweepLinks(run)
  await sweepBlobs(run)
  await sweepManifests(run)
  options.onProgress?.(report)
  return report
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

/** Lets requests in between, and the caller stop the run. */
async function* paced<T>(run: Run, items: AsyncIterable<T>): AsyncGenerator<T> {
  let count = 0
  for await (const item of items) {
    run.options.signal?.throwIfAborted()
    yield item
    if (++count % slice !== 0) continue
    run.options.onProgress?.(run.report)
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** Deleting a parent may free its children: repeated until a pass finds nothing, at most as often as indexes nest. */
async function sweepUntagged(run: Run): Promise<void> {
  const { metadata } = run.registration
  for (let pass = 0, found = 1; found > 0 && pass < 32; pass++) {
    found = 0
    for await (const repository of paced(run, metadata.repositories(run.options))) {
      for await (const { digest, record } of paced(run, metadata.revisions(repository, run.options))) {
        if (record.at > run.before || !(await isUnreachable(run, repository, digest, record.mediaType))) continue
        if (run.report.dryRun) run.report.manifests++
        else if (await removeUntagged(run, repository, digest)) found++
      }
    }
    run.report.manifests += found
  }
}

async function removeUntagged(run: Run, repository: string, digest: Digest): Promise<boolean> {
  return removeRevision(
    run.registration,
    repository,
    digest,
    [
      { type: 'untagged', repository, digest },
      { type: 'unreferenced', repository, digest }
    ],
    run.options
  )
}

/** No tag, no index, and not the referrer of a manifest that is here. */
async function isUnreachable(run: Run, repository: string, digest: Digest, mediaType: string): Promise<boolean> {
  const { metadata } = run.registration
  for await (const _tag of metadata.tagsOf(repository, digest, run.options)) return false
  for await (const _parent of metadata.parents(repository, digest, run.options)) return false
  const bytes = await metadata.manifestBytes(digest, run.options)
  const subject = bytes === undefined ? undefined : readManifest(bytes, mediaType).subject
  return subject === undefined || (await metadata.revision(repository, subject, run.options)) === undefined
}

async function sweepLinks(run: Run): Promise<void> {
  const { metadata } = run.registration
  for await (const repository of paced(run, metadata.repositories(run.options))) {
    for await (const { digest, record } of paced(run, metadata.links(repository, run.options))) {
      if (!(await isGarbageLink(run, repository, digest, record.at))) continue
      if (run.report.dryRun || (await removeLink(run, repository, digest, record.at))) run.report.links++
    }
  }
}

async function isGarbageLink(run: Run, repository: string, digest: Digest, at: number): Promise<boolean> {
  if (at > run.before) return false
  for await (const _parent of run.registration.metadata.parents(repository, digest, run.options)) return false
  return true
}

async function removeLink(run: Run, repository: string, digest: Digest, at: number): Promise<boolean> {
  try {
    await run.registration.metadata.commit(
      [{ type: 'deleteLink', repository, digest }],
      [
        { type: 'linkAt', repository, digest, at },
        { type: 'unreferenced', repository, digest }
      ],
      run.options
    )
    return true
  } catch (error) {
    if (error instanceof PreconditionFailed) return false
    throw error
  }
}

async function sweepBlobs(run: Run): Promise<void> {
  const { registration, report } = run
  for await (const { digest, record } of paced(run, registration.metadata.blobs(run.options))) {
    if (!(await isUnheld(run, digest))) continue
    if (!report.dryRun && !(await reapBlob(registration, digest, run.options))) continue
    report.blobs++
    report.bytes += record.size
  }
}

/** Whether nobody holds the blob; in a dry run, whether nobody would once the garbage links are gone. */
async function isUnheld(run: Run, digest: Digest): Promise<boolean> {
  const { metadata } = run.registration
  for await (const repository of metadata.holders(digest, run.options)) {
    if (!run.report.dryRun) return false
    const link = await metadata.link(repository, digest, run.options)
    if (link === undefined || !(await isGarbageLink(run, repository, digest, link.at))) return false
  }
  return true
}

/** What a crash between leaving the last repository and freeing the bytes left behind. */
async function sweepManifests(run: Run): Promise<void> {
  const { metadata } = run.registration
  for await (const digest of paced(run, metadata.manifests(run.options))) {
    if (await isHeld(run, digest)) continue
    if (run.report.dryRun || (await reapManifest(run.registration, digest, run.options))) run.report.manifests++
  }
}

async function isHeld(run: Run, digest: Digest): Promise<boolean> {
  for await (const _repository of run.registration.metadata.holders(digest, run.options)) return true
  return false
}
