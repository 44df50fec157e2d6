import type { Digest } from '../../oci/digest.ts'
import type { Registration } from '../components.ts'
import { type LinkRecord, PreconditionFailed } from '../ports.ts'

/** What garbage collection beside requests spares at least, however little it was told to: a push takes that long. ms. */
export const leastGraceMs = 15 * 60_000

/**
 * A client that was told "it is here" will reference the blob later: GC must spare it until then. Written at most four
 * times in the shortest grace that a run beside requests may have, and not synced: a lost touch costs grace, never an
 * acknowledged push.
 */
export async function touchLink(
  registration: Registration,
  repository: string,
  digest: Digest,
  link: LinkRecord
): Promise<void> {
  const { metadata, clock, init } = registration
  const now = clock.now()
  if (now - link.at < Math.min(init.graceMs, leastGraceMs) / 4) return
  try {
    await metadata.commit(
      [{ type: 'putLink', repository, digest, record: { at: now } }],
      [{ type: 'linkExists', repository, digest }],
      { durable: false }
    )
  } catch (error) {
    // Deleted meanwhile: the client finds out at its manifest.
    if (!(error instanceof PreconditionFailed)) throw error
  }
}
