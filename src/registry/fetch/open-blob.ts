import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'
import { openBlob } from '../blobs/open.ts'
import type { Registration } from '../components.ts'
import type { BlobReading, OpenBlobOptions } from '../registry.ts'
import { readArriving } from './arriving.ts'
import type { Fetches } from './fetches.ts'
import { rightTo } from './right.ts'

/** Up to here a blob is one leaf, and nothing of it is sent before all of it is verified. */
const leafSize = 1024 * 1024

/**
 * end-2: a blob of the repository from this disk, else fetched from a source and sent on while it arrives. A client has its
 * first byte in time, or a 503 with `Retry-After` behind which the fetch goes on.
 */
export async function openOrFetchBlob(
  registration: Registration,
  fetches: Fetches,
  repository: string,
  digest: Digest,
  options: OpenBlobOptions = {}
): Promise<BlobReading> {
  const { demandFetch } = options
  const deadline = performance.now() + fetches.init.answerMs
  try {
    return await openBlob(registration, repository, digest, options)
  } catch (error) {
    if (!fetches.possible || !(error instanceof RegistryError) || error.reason !== 'BLOB_UNKNOWN') throw error
    if (demandFetch === undefined) throw error
    const right = await rightTo(registration, repository, digest, options)
    if (right === undefined) throw error
    demandFetch()
    const { flight, leave } = fetches.join(repository, digest, right)
    const departure = new Departure(fetches, leave)
    try {
      const arriving = () => right.size !== undefined && right.size > leafSize && flight.staged > 0
      await flight.until(() => arriving() || flight.outcome !== undefined, deadline, options)
      if (flight.outcome === 'committed') {
        departure.now()
        return await openBlob(registration, repository, digest, options)
      }
      if (flight.outcome !== undefined) throw flight.outcome.error
    } catch (failure) {
      departure.after(failure)
      throw failure
    }
    const size = right.size ?? 0
    const arrival = { registration, flight, repository, size, deadline }
    return {
      digest,
      size,
      read: (ranges = [{ start: 0, end: size }], how) => departure.watch(readArriving(arrival, ranges, how)),
      close: async () => departure.now()
    }
  }
}

/** How a client leaves decides how long the fetch goes on without it. */
class Departure {
  readonly #fetches: Fetches
  readonly #leave: (lingerMs: number) => void

  constructor(fetches: Fetches, leave: (lingerMs: number) => void) {
    this.#fetches = fetches
    this.#leave = leave
  }

  now(): void {
    this.#leave(this.#fetches.init.lingerMs)
  }

  /** Who was told to come again finds the fetch still going on. */
  after(failure: unknown): void {
    const { lingerMs, retryMs } = this.#fetches.init
    const toldToRetry = failure instanceof RegistryError && failure.headers['Retry-After'] !== undefined
    this.#leave(toldToRetry ? retryMs : lingerMs)
  }

  async *watch(chunks: AsyncGenerator<Uint8Array, void, undefined>): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* chunks
    } catch (failure) {
      this.after(failure)
      throw failure
    }
  }
}
