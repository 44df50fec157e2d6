import type { RegistryError } from '../errors.ts'
import type { Exchange } from './exchange.ts'
import { type ReadBodyInit, RequestBody } from './read-body.ts'

export interface ReadWholeBodyInit extends Pick<ReadBodyInit, 'stallMs' | 'stalled'> {
  /** Bytes. */
  limit: number
  /** Thrown as soon as the limit is known to be passed. */
  tooLarge: () => RegistryError
}

/**
 * A body that is small by its nature, in one piece.
 *
 * @throws {RegistryError} `tooLarge`, `stalled`
 */
export async function readWholeBody(
  exchange: Exchange,
  { limit, tooLarge, ...init }: ReadWholeBodyInit
): Promise<Buffer<ArrayBuffer>> {
  if ((exchange.contentLength ?? 0) > limit) throw tooLarge()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of new RequestBody(exchange, init)) {
    size += chunk.byteLength
    if (size > limit) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}
