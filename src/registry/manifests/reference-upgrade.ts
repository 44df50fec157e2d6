import { setTimeout as delay } from 'node:timers/promises'
import type { Digest } from '../../oci/digest.ts'
import { readManifest, referencedDescriptors } from '../../oci/manifest.ts'
import type { Registration } from '../components.ts'
import { type AbortOptions, type Mutation, PreconditionFailed, type RevisionRecord } from '../ports.ts'
import { referrerDescriptor } from './referrer-descriptor.ts'

/** ms of work between two pauses, which are as long: whoever pushes or pulls meanwhile has half of the time at least. */
const sliceMs = 10
/** Manifests after which the position is written. */
const notedEvery = 1_000
/** References of one commit: a manifest may name ten thousand digests, and other commits wait for it. */
const batch = 1_000
/** ms until a run that failed is tried again. */
const retryMs = 60_000

export interface WaitOptions extends AbortOptions {
  /** Called now and then with how many manifests were seen to. */
  onWait?: (manifests: number) => void
}

type Components = Pick<Registration, 'metadata' | 'log'>

/**
 * Adds to the manifests that an earlier version stored the references that it did not write: to every digest they name, and
 * of those whose subject it could not list. It goes on where it was when the process ended. Until it is finished, the absence
 * of a reference says nothing, so whatever frees bytes by it waits for {@link finished}.
 */
export class ReferenceUpgrade {
  readonly #components: Components
  readonly #closing = new AbortController()
  readonly #waiting = new Set<(manifests: number) => void>()
  #running: Promise<boolean> | undefined
  #retry: NodeJS.Timeout | undefined
  #isFinished = false

  constructor(components: Components) {
    this.#components = components
  }

  /** Works behind whatever else the process does; a failure is logged, and tried again a minute later. */
  start(): void {
    this.#run().catch(error => {
      if (this.#closing.signal.aborted) return
      this.#components.log.error({ err: error }, 'references of stored manifests could not be completed: trying again')
      this.#retry = setTimeout(() => this.start(), retryMs)
      this.#retry.unref()
    })
  }

  /**
   * Settles when every manifest has all its references, which begins now if it was not begun; with whether that had to be
   * waited for.
   *
   * @throws what stopped it: it will be tried again
   */
  async finished({ signal, onWait }: WaitOptions = {}): Promise<boolean> {
    if (this.#isFinished) return false
    signal?.throwIfAborted()
    const aborted = Promise.withResolvers<never>()
    const abort = () => aborted.reject(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    if (onWait !== undefined) this.#waiting.add(onWait)
    try {
      return await Promise.race([this.#run(), aborted.promise])
    } finally {
      signal?.removeEventListener('abort', abort)
      if (onWait !== undefined) this.#waiting.delete(onWait)
    }
  }

  /** Ends a run between two manifests; the next process goes on with it. */
  async close(): Promise<void> {
    clearTimeout(this.#retry)
    this.#closing.abort()
    await this.#running?.catch(() => undefined)
  }

  #run(): Promise<boolean> {
    this.#running ??= this.#complete().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** Whether there was anything to do. */
  async #complete(): Promise<boolean> {
    const { metadata, log } = this.#components
    const { signal } = this.#closing
    const record = await metadata.referenceUpgrade({ signal })
    if (record !== undefined) {
      log.info({}, 'reading the manifests that an earlier version stored; garbage collection waits until that is done')
      const manifests = await completeAll(this.#components, record.after, {
        signal,
        onWait: count => {
          for (const told of this.#waiting) told(count)
        }
      })
      log.info({ manifests }, 'the manifests that an earlier version stored are read')
    }
    this.#isFinished = true
    return record !== undefined
  }
}

/** Every revision behind the position, and the position with them; resolves with how many there were. */
async function completeAll(
  components: Components,
  after: { repository: string; digest: Digest } | undefined,
  { signal, onWait }: WaitOptions
): Promise<number> {
  const { metadata } = components
  const abortable = signal === undefined ? {} : { signal }
  let count = 0
  let since = performance.now()
  for await (const { repository, digest, record } of revisionsAfter(components, after, abortable)) {
    await complete(components, repository, digest, record, abortable)
    if (++count % notedEvery === 0) {
      const position = { repository, digest }
      await metadata.commit([{ type: 'putReferenceUpgrade', record: { after: position } }], [], { durable: false })
    }
    const spent = performance.now() - since
    if (spent < sliceMs) continue
    onWait?.(count)
    await delay(spent, undefined, abortable)
    since = performance.now()
  }
  await metadata.commit([{ type: 'deleteReferenceUpgrade' }])
  return count
}

async function* revisionsAfter(
  { metadata }: Components,
  after: { repository: string; digest: Digest } | undefined,
  options: AbortOptions
): AsyncGenerator<{ repository: string; digest: Digest; record: RevisionRecord }> {
  if (after !== undefined) {
    const { repository, digest } = after
    for await (const found of metadata.revisions(repository, { ...options, after: digest }))
      yield { repository, ...found }
  }
  const rest = after === undefined ? options : { ...options, after: after.repository }
  for await (const repository of metadata.repositories(rest)) {
    for await (const found of metadata.revisions(repository, options)) yield { repository, ...found }
  }
}

/** What its push would write today and did not then; nothing for one that is deleted or pushed again meanwhile. */
async function complete(
  { metadata }: Components,
  repository: string,
  digest: Digest,
  { mediaType }: RevisionRecord,
  options: AbortOptions
): Promise<void> {
  const bytes = await metadata.manifestBytes(digest, options)
  if (bytes === undefined) return
  const manifest = readManifest(bytes, mediaType)
  const { subject } = manifest
  // Those that the manifest's type demands were always written.
  const written = new Set(referencedDescriptors(manifest).map(descriptor => descriptor.digest))
  const missing: Mutation[] = []
  for (const child of manifest.names) {
    if (!written.has(child)) missing.push({ type: 'putReference', repository, child, parent: digest })
  }
  if (subject !== undefined && manifest.kind === 'other') {
    const descriptor = referrerDescriptor(digest, manifest, mediaType, bytes.length)
    missing.push({ type: 'putReferrer', repository, subject, descriptor })
  }
  for (let at = 0; at < missing.length; at += batch) {
    try {
      const conditions = [{ type: 'revisionIs', repository, digest, mediaType }] as const
      await metadata.commit(missing.slice(at, at + batch), conditions, { ...options, durable: false })
    } catch (error) {
      if (error instanceof PreconditionFailed) return
      throw error
    }
  }
}
