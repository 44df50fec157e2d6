import { RegistryError } from '../../errors.ts'
import type { Digest } from '../../oci/digest.ts'

/** The fetch takes longer than a client waits for headers; it goes on, and the retry finds it further on. */
export function notYet(digest: Digest): RegistryError {
  return unavailable(digest, 'the blob is being fetched: try again', '5')
}

/** What was sent of the blob turned out to be wrong. */
export function cut(digest: Digest): RegistryError {
  return unavailable(digest, 'a source sent other bytes than the digest names: try again', '1')
}

/** No source could supply the blob, and none of that proves that it does not exist. */
export function noSource(digest: Digest, cause?: unknown): RegistryError {
  return unavailable(digest, 'no source could supply the blob now: try again later', '10', cause)
}

export function stopping(digest: Digest): RegistryError {
  return unavailable(digest, 'the fetch of the blob was stopped: try again', '5')
}

function unavailable(digest: Digest, message: string, retryAfter: string, cause?: unknown): RegistryError {
  return new RegistryError('UNAVAILABLE', {
    message,
    detail: { digest },
    headers: { 'Retry-After': retryAfter },
    cause
  })
}
