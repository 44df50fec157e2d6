import type { ServerResponse } from 'node:http'
import { ClientGone, type Exchange, type HeaderList } from './exchange.ts'

/** A body made of a blob's bytes. A chunk is valid until the next is asked for. */
export interface BlobBody {
  chunks: AsyncIterable<Uint8Array>
  /** Bytes in all. */
  length: number
}

/**
 * Streams a blob, or ranges of it, as the response's body. The first chunk is read before the headers go, so that a blob
 * whose beginning rotted is an honest error; later, a failing read cuts the connection, since a body that cannot be
 * completed must not look complete. A chunk is only borrowed, so the next is asked for when the socket let go of it.
 *
 * @param stallMs time without the client taking a single byte after which the connection is cut.
 */
export async function pumpBlob(
  exchange: Exchange,
  status: number,
  headers: HeaderList,
  body: BlobBody,
  stallMs: number
): Promise<void> {
  const { response } = exchange
  const chunks = body.chunks[Symbol.asyncIterator]()
  const client = new Client(response)
  try {
    let step = await chunks.next()
    if (exchange.closed) throw new ClientGone('client hung up')
    headers.push('Content-Length', String(body.length))
    // Node checks at each interval whether the kernel took any of a pending write, so a slow client is not a stalled one.
    response.setTimeout(stallMs, () => response.destroy(new ClientGone('client stopped reading')))
    exchange.begin(status, headers)
    for (; step.done !== true; step = await chunks.next()) {
      await client.write(step.value)
      exchange.sent += step.value.byteLength
    }
    if (exchange.sent !== body.length) throw new Error(`a blob ended after ${exchange.sent} of ${body.length} bytes`)
    response.end()
  } finally {
    client.release()
    await chunks.return?.()
  }
}

/**
 * Bytes handed to TLS at once. Unlike a plain socket, one under TLS shows no progress inside a write, so that a large write
 * to a slow client would look stalled.
 */
const tlsSlice = 256 * 1024

/** The response as something to write to and wait for. */
class Client {
  readonly #response: ServerResponse
  readonly #slice: number
  #reject: ((error: Error) => void) | undefined

  constructor(response: ServerResponse) {
    this.#response = response
    const { socket } = response
    this.#slice = socket !== null && 'encrypted' in socket ? tlsSlice : Number.POSITIVE_INFINITY
    response.on('close', this.#gone)
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (chunk.byteLength <= this.#slice) return this.#write(chunk)
    for (let at = 0; at < chunk.byteLength; at += this.#slice) await this.#write(chunk.subarray(at, at + this.#slice))
  }

  #write(chunk: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#response.closed || this.#response.destroyed) return reject(new ClientGone('client hung up'))
      this.#reject = reject
      this.#response.write(chunk, error => {
        if (error instanceof Error) reject(new ClientGone('client hung up', { cause: error }))
        else resolve()
      })
    })
  }

  release(): void {
    this.#response.off('close', this.#gone)
  }

  readonly #gone = (): void => this.#reject?.(new ClientGone('client hung up'))
}
