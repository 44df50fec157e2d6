import { RegistryError } from '../../errors.ts'
import { openBlob } from '../blobs/open.ts'
import type { Registration } from '../components.ts'
import type { AbortOptions, ByteRange } from '../ports.ts'
import type { Flight } from './flight.ts'
import { cut } from './unavailable.ts'

/** Bytes a client has in memory at once; what is held back of a response at most, and at least its last leaf. */
const chunkSize = 1024 * 1024

/** A client's place at a blob that is still arriving. */
export interface Arrival {
  registration: Registration
  flight: Flight
  repository: string
  /** Bytes the client was promised. */
  size: number
  /** Until when, by `performance.now()`, its first byte must be there. */
  deadline: number
}

/**
 * Ranges of a blob while it arrives, read back from the staged file at the client's own speed. The last leaf of the first
 * range is held back until the whole blob hashes, so that no response is completed that should not be (invariant 1). From
 * the commit on the rest comes from the blob.
 */
export async function* readArriving(
  arrival: Arrival,
  [range = { start: 0, end: arrival.size }, ...more]: readonly ByteRange[],
  options?: AbortOptions
): AsyncGenerator<Uint8Array, void, undefined> {
  const { flight, size } = arrival
  const held = Math.max(range.start, Math.floor(Math.max(0, range.end - 1) / chunkSize) * chunkSize)
  const limit = () => Math.min(range.end, flight.verified === undefined ? held : range.end, flight.staged)
  let generation = flight.generation
  let position = range.start
  let buffer: Uint8Array | undefined
  while (position < range.end) {
    await flight.until(
      () => limit() > position || flight.outcome !== undefined || flight.generation !== generation,
      position === range.start ? arrival.deadline : undefined,
      options
    )
    // First of all, or the rest of the sound blob would complete what began with other bytes.
    if (flight.generation !== generation && position > range.start) throw cut(flight.digest)
    generation = flight.generation
    if (flight.verified !== undefined && flight.verified !== size) throw cut(flight.digest)
    if (flight.outcome === 'committed')
      return yield* readCommitted(arrival, [{ start: position, end: range.end }, ...more], options)
    if (flight.outcome !== undefined) throw flight.outcome.error
    if (limit() <= position) continue
    buffer ??= Buffer.allocUnsafe(Math.min(chunkSize, range.end - range.start))
    const read = await readStaged(arrival, buffer.subarray(0, limit() - position), position, options)
    // Thrown away meanwhile, or renamed: the loop finds out which.
    if (read === undefined || flight.generation !== generation) continue
    position += read
    yield buffer.subarray(0, read)
  }
  if (more.length === 0) return
  // The whole hashed, or the first range would not have ended.
  await flight.until(() => flight.outcome !== undefined, undefined, options)
  if (flight.outcome !== 'committed') throw flight.outcome?.error
  yield* readCommitted(arrival, more, options)
}

/** `undefined` when the staged file went away under the read, which is no failure. */
async function readStaged(
  { registration, flight }: Arrival,
  buffer: Uint8Array,
  offset: number,
  options?: AbortOptions
): Promise<number | undefined> {
  const { generation } = flight
  try {
    const read = await registration.staging.read(flight.uploadId, buffer, offset, options)
    if (read > 0) return read
    throw new Error(`staged bytes of ${flight.digest} at ${offset} are gone`)
  } catch (error) {
    if (flight.generation !== generation) return undefined
    if (flight.verified === undefined || !(error instanceof RegistryError) || error.reason !== 'BLOB_UPLOAD_UNKNOWN')
      throw error
    await flight.until(() => flight.outcome !== undefined, undefined, options)
    return undefined
  }
}

async function* readCommitted(
  { registration, flight, repository, size }: Arrival,
  ranges: readonly ByteRange[],
  options?: AbortOptions
): AsyncGenerator<Uint8Array, void, undefined> {
  const reading = await openBlob(registration, repository, flight.digest, options)
  try {
    if (reading.size !== size) throw cut(flight.digest)
    yield* reading.read(ranges, options)
  } finally {
    await reading.close()
  }
}
