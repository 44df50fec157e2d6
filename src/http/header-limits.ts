import { RegistryError } from '../errors.ts'

/** Bytes of a request's target and headers, its `Range` apart. */
const maxHeaders = 16 * 1024
/** Bytes of a `Range`: room for 1,024 ranges of a blob of 10 TB. */
const maxRange = 32 * 1024

/** Bytes of a request's target and headers that are read at most; Node's parser gives up behind them. */
export const maxRead = maxHeaders + maxRange

/** Headers of a request. Node 24.21 refuses more; before it, Node drops what is beyond unseen. */
const maxCount = 1000

/** Whether there are more headers than Node gives: the one that says how long the body is may be missing. */
export function tooManyHeaders(rawHeaders: readonly string[]): boolean {
  return rawHeaders.length > 2 * maxCount
}

/**
 * The limits that Node has no setting for.
 *
 * @returns HEADER_TOO_LARGE, or REQUEST_INVALID for a `Range`: to podman, skopeo and stargz-snapshotter only a 400 means
 * that they should ask for fewer ranges, and 431 ends the pull
 */
export function headersTooLarge(target: string, rawHeaders: readonly string[]): RegistryError | undefined {
  let length = target.length
  let range = 0
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    // With the colon, a space and the end of the line.
    const size = name.length + (rawHeaders[at + 1] ?? '').length + 4
    if (isRange(name)) range += size
    else length += size
  }
  if (range > maxRange) return rangeTooLarge()
  return length > maxHeaders || tooManyHeaders(rawHeaders) ? new RegistryError('HEADER_TOO_LARGE') : undefined
}

/** What was too large when Node's parser gave up on a request's headers, which it leaves to be guessed. */
export function overflowed(error: Error): RegistryError {
  return endsInRange(error) ? rangeTooLarge() : new RegistryError('HEADER_TOO_LARGE')
}

/**
 * Whether the parser came as far as into a `Range`. Of one that began in an earlier packet only the ranges are seen, and
 * another header of nothing but digits is taken for one.
 */
function endsInRange(error: Error): boolean {
  if (!('rawPacket' in error && error.rawPacket instanceof Uint8Array && 'bytesParsed' in error)) return false
  const parsed = Buffer.from(error.rawPacket.subarray(0, Number(error.bytesParsed)))
    .toString('latin1')
    .trimEnd()
  const line = parsed.slice(parsed.lastIndexOf('\n') + 1)
  return /^range:/i.test(line) || /^[\d, -]+$/.test(line)
}

function isRange(name: string): boolean {
  return name.length === 'range'.length && name.toLowerCase() === 'range'
}

function rangeTooLarge(): RegistryError {
  return new RegistryError('REQUEST_INVALID', {
    message: `the Range header is longer than ${maxRange} bytes: ask for fewer ranges`
  })
}
