import { algorithmOf } from '../../oci/digest.ts'
import { blobUnknown } from '../blobs/stat.ts'
import type { Registration } from '../components.ts'
import type { BlobSource, StagedContent } from '../ports.ts'
import type { OpenSessions } from '../uploads/open-sessions.ts'
import type { Doubts } from './doubts.ts'
import { countOn, Ending } from './ending.ts'
import type { Flight } from './flight.ts'
import { SourceBody, SourceStalled } from './source-body.ts'
import { noSource } from './unavailable.ts'
import { late, within } from './within.ts'

/** Less than this in a whole round over the sources is no progress, bytes. */
const progress = 1024 * 1024
/** Rounds over the sources while each brings something. */
const maxRounds = 32
/** Stands for whoever supplied bytes that an earlier flight left staged. */
const earlier = ''

export interface GatheringComponents {
  registration: Registration
  sessions: OpenSessions
  doubts: Doubts
}

export interface GatheringInit {
  /** ms without a byte after which a source is left for the next. */
  stallMs: number
  /** Bytes taken at most of a blob whose size no manifest says. */
  maxUndescribedBytes: number
}

type Answer = 'absent' | 'failed' | 'rejected' | StagedContent

/**
 * Brings all bytes of a flight's blob into its staged file, from the sources in their order, each going on where the one
 * before stopped, and verifies them. The lock of the upload session is held.
 *
 * @throws {RegistryError} BLOB_UNKNOWN when every source says that it has not got it, UNAVAILABLE, STORAGE_FULL;
 *   TOOMANYREQUESTS and BLOB_TOO_LARGE by the quota, what is staged kept
 */
export class Gathering {
  readonly #components: GatheringComponents
  readonly #flight: Flight
  readonly #init: GatheringInit
  readonly #contributors = new Set<string>()
  /** Bytes staged; `undefined` without a staged file. */
  #staged: number | undefined
  #failure: unknown

  constructor(components: GatheringComponents, flight: Flight, init: GatheringInit) {
    this.#components = components
    this.#flight = flight
    this.#init = init
  }

  async run(): Promise<StagedContent> {
    try {
      return await this.#gather()
    } catch (error) {
      if (this.#staged === 0) await this.#forget()
      throw error instanceof Ending ? error.cause : error
    }
  }

  async #gather(): Promise<StagedContent> {
    await this.#resume()
    const { size, budget } = this.#flight
    if (size === 0 && this.#staged === undefined) this.#staged = await this.#create()
    if (size !== undefined && this.#staged === size) {
      const content = await this.#verify()
      if (content !== undefined) return content
      await this.#restart()
    }
    if (size !== 0) budget?.ask(this.#missing)
    for (let round = 0; round < maxRounds; round++) {
      const before = this.#staged ?? 0
      const answers = new Set<Answer>()
      for (const source of this.#components.registration.sources ?? []) {
        const answer = await this.#ask(source)
        if (typeof answer !== 'string') return answer
        answers.add(answer)
      }
      if (answers.has('rejected') || (answers.has('failed') && (this.#staged ?? 0) - before >= progress)) continue
      if (answers.has('failed')) break
      throw blobUnknown(this.#flight.digest)
    }
    throw noSource(this.#flight.digest, this.#failure)
  }

  async #ask(source: BlobSource): Promise<Answer> {
    const { doubts } = this.#components
    const { key, signal } = this.#flight
    signal.throwIfAborted()
    if (doubts.excludes(key, source.name)) return 'failed'
    if (doubts.isTakenAlone(key) && this.#suppliedByOthers(source)) await this.#restart()
    const attempt = new AbortController()
    try {
      const bytes = await this.#open(source, AbortSignal.any([signal, attempt.signal]))
      return bytes === undefined ? 'absent' : await this.#take(source, bytes)
    } catch (error) {
      signal.throwIfAborted()
      return this.#failed(source, error)
    } finally {
      attempt.abort()
    }
  }

  async #open(source: BlobSource, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined> {
    const { digest, repository } = this.#flight
    const opening = source.open(digest, { repository, offset: this.#staged ?? 0, signal })
    const bytes = await within(opening, this.#init.stallMs, signal)
    if (bytes === late) throw new SourceStalled(`no answer for ${this.#init.stallMs} ms`)
    return bytes
  }

  async #take(source: BlobSource, bytes: AsyncIterable<Uint8Array>): Promise<Answer> {
    const { size, signal, budget } = this.#flight
    const limit = (size ?? this.#init.maxUndescribedBytes) - (this.#staged ?? 0)
    const count = countOn(budget, () => this.#missing)
    const body = new SourceBody(bytes, { limit, stallMs: this.#init.stallMs, signal, count })
    try {
      while (body.state === 'flowing') await this.#append(source, body)
      if (body.state === 'failed') return this.#failed(source, body.failure)
      if (size === undefined && body.state === 'full')
        return this.#failed(source, new Error(`more than ${this.#init.maxUndescribedBytes} bytes`))
      if (size !== undefined && this.#staged !== size)
        return this.#failed(source, new Error(`ended after ${this.#staged} of ${size} bytes`))
      const content = await this.#verify()
      if (content !== undefined) return content
      await this.#reject(source, body.state === 'full' && (await body.hasMore()))
      return 'rejected'
    } finally {
      body.close()
    }
  }

  /** Bytes still to come, by the word of the manifest; one at least. */
  get #missing(): number {
    return Math.max(1, (this.#flight.size ?? 0) - (this.#staged ?? 0))
  }

  async #append(source: BlobSource, body: SourceBody): Promise<void> {
    const { staging } = this.#components.registration
    const { uploadId, signal } = this.#flight
    const before = this.#staged ?? (await this.#create())
    try {
      this.#staged = await staging.append(uploadId, body.batch(), { signal, readBack: true })
    } catch (error) {
      throw new Ending(error)
    }
    if (this.#staged > before) this.#contributors.add(source.name)
    if (this.#staged > before || body.state === 'ended') this.#flight.arrived(this.#staged)
  }

  async #verify(): Promise<StagedContent | undefined> {
    const { staging } = this.#components.registration
    const { digest, uploadId, signal } = this.#flight
    let content: StagedContent
    try {
      content = await staging.content(uploadId, algorithmOf(digest), { signal })
    } catch (error) {
      throw new Ending(error)
    }
    return content.digest === digest ? content : undefined
  }

  /**
   * The staged bytes are not the blob. Blamed is only who supplied all of them, and exactly as many as were asked for: a
   * source that has more may be right and the manifest wrong.
   */
  async #reject(source: BlobSource, hasMore: boolean): Promise<void> {
    const { doubts, registration } = this.#components
    const { digest, key } = this.#flight
    if (this.#suppliedByOthers(source)) {
      registration.log.warn(
        { digest },
        'bytes of several sources do not make up the blob: each is now asked for all of it'
      )
      doubts.takeAlone(key)
    } else {
      registration.log.warn(
        { digest, source: source.name, bytes: this.#staged },
        hasMore ? 'a source has more of a blob than its manifest says' : 'a source sent bytes that are not the blob'
      )
      doubts.exclude(key, source.name)
      this.#failure = new Error(`${source.name} sent other bytes`)
      if (!hasMore) source.blamed?.(digest)
    }
    await this.#restart()
  }

  #failed(source: BlobSource, error: unknown): 'failed' {
    if (error instanceof Ending) throw error
    this.#failure = error
    const { log } = this.#components.registration
    log.info({ err: error, digest: this.#flight.digest, source: source.name, staged: this.#staged }, 'a source failed')
    return 'failed'
  }

  #suppliedByOthers(source: BlobSource): boolean {
    for (const name of this.#contributors) if (name !== source.name) return true
    return false
  }

  /** Takes up what a flight before this one, perhaps of a process before this one, left. */
  async #resume(): Promise<void> {
    const { staging, metadata } = this.#components.registration
    const { uploadId, size = Number.POSITIVE_INFINITY } = this.#flight
    const [staged, record] = await Promise.all([staging.size(uploadId), metadata.upload(uploadId)])
    if (staged === undefined && record === undefined) return
    if (staged !== undefined && record !== undefined && staged <= size) {
      this.#staged = staged
      if (staged > 0) this.#contributors.add(earlier)
    } else {
      await this.#forget()
    }
  }

  async #create(): Promise<number> {
    const { sessions, registration } = this.#components
    const { uploadId, digest } = this.#flight
    const algorithm = algorithmOf(digest)
    // Of no repository, so that it is no client's session; else as any other, so that recovery and purging know it.
    const record = { repository: '', algorithm, startedAt: registration.clock.now() }
    try {
      await registration.staging.create(uploadId, algorithm)
      await registration.metadata.commit([{ type: 'putUpload', id: uploadId, record }], [], { durable: false })
    } catch (error) {
      throw new Ending(error)
    }
    sessions.opened(uploadId, record.repository, record.startedAt)
    return 0
  }

  async #restart(): Promise<void> {
    this.#contributors.clear()
    this.#flight.dropped()
    await this.#forget()
  }

  async #forget(): Promise<void> {
    const { sessions, registration } = this.#components
    const { uploadId } = this.#flight
    this.#staged = undefined
    await registration.metadata.commit([{ type: 'deleteUpload', id: uploadId }], [], { durable: false })
    await registration.staging.discard(uploadId)
    sessions.ended(uploadId)
  }
}
