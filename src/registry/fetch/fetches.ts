import type { Digest } from '../../oci/digest.ts'
import { commitBlob } from '../blobs/commit.ts'
import type { FetchInit, Registration } from '../components.ts'
import { completeParents } from '../images/complete.ts'
import { FetchBudgets } from '../quotas/fetch-budgets.ts'
import { endIfRefused } from '../uploads/end-if-refused.ts'
import type { OpenSessions } from '../uploads/open-sessions.ts'
import { Doubts } from './doubts.ts'
import { Flight, type Passenger } from './flight.ts'
import { Gathering } from './gather.ts'
import type { Right } from './right.ts'
import { stopping } from './unavailable.ts'

/** The fetches under way: one a blob, however many clients want it (single flight). */
export class Fetches {
  readonly init: Required<FetchInit>
  readonly #registration: Registration
  readonly #sessions: OpenSessions
  readonly #doubts: Doubts
  readonly #budgets: FetchBudgets
  readonly #flights = new Map<string, Flight>()
  readonly #running = new Set<Promise<void>>()
  #closed = false

  constructor(registration: Registration, sessions: OpenSessions, init: FetchInit = {}) {
    this.init = {
      answerMs: 15_000,
      stallMs: 5_000,
      lingerMs: 2_000,
      retryMs: 60_000,
      maxUndescribedBytes: 1 << 30,
      ...init
    }
    this.#registration = registration
    this.#sessions = sessions
    this.#doubts = new Doubts(registration.clock)
    this.#budgets = new FetchBudgets(registration.clock, registration.init.quotaOf)
  }

  /** Whether there is anywhere to fetch from. */
  get possible(): boolean {
    return (this.#registration.sources?.length ?? 0) > 0
  }

  /** Boards the flight of a blob, which starts when there is none. */
  join(repository: string, digest: Digest, right: Right): Passenger {
    if (this.#closed) throw stopping(digest)
    // A repository whose only right is a manifest's word shares with nobody: sources are asked in its own name, or it
    // would be given what only another one may read. And of two claims about the size one is wrong. Where a quota is counted,
    // nobody is to be stopped by that of others, nor to pay for them.
    const budget = this.#budgets.of(repository)
    const shared = [right.linked ? '' : repository, digest, right.size ?? '']
    const key = [...shared, ...(budget === undefined ? [] : [budget.name])].join(' ')
    let flight = this.#flights.get(key)
    if (flight === undefined || flight.signal.aborted) {
      flight = new Flight({ key, digest, repository, size: right.size, budget })
      this.#flights.set(key, flight)
      this.#start(flight)
    }
    return flight.join(repository)
  }

  /** Stops every fetch; what is staged stays, to be resumed. */
  async close(): Promise<void> {
    this.#closed = true
    for (const flight of this.#flights.values()) flight.stop()
    await Promise.all(this.#running)
  }

  #start(flight: Flight): void {
    const running = this.#run(flight).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async #run(flight: Flight): Promise<void> {
    const { sessionLocks, log } = this.#registration
    try {
      await sessionLocks.run(flight.uploadId, () => this.#fetch(flight), { signal: flight.signal })
      flight.settle('committed')
      this.#landed(flight)
      await this.#completeOthers(flight)
    } catch (error) {
      if (flight.outcome === undefined) flight.settle({ error })
      else log.warn({ err: error, digest: flight.digest }, 'could not complete the images of a fetched blob')
      this.#landed(flight)
    }
  }

  #landed(flight: Flight): void {
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key)
  }

  async #fetch(flight: Flight): Promise<void> {
    const { digest, repository, uploadId } = flight
    const registration = this.#registration
    const content = await new Gathering(
      { registration, sessions: this.#sessions, doubts: this.#doubts },
      flight,
      this.init
    ).run()
    flight.provedSound(content.size)
    await endIfRefused(registration, this.#sessions, uploadId, () =>
      commitBlob(registration, { repository, uploadId, digest, content })
    )
    this.#sessions.ended(uploadId)
    registration.log.info({ digest, repository, bytes: content.size }, 'blob fetched')
  }

  /** As `commitBlob` does for the one repository it commits for. */
  async #completeOthers({ repositories, repository, digest }: Flight): Promise<void> {
    for (const other of repositories) if (other !== repository) await completeParents(this.#registration, other, digest)
  }
}
