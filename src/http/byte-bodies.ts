import { RegistryError } from '../errors.ts'
import { parseContentRange } from '../oci/range.ts'
import type { UploadBody } from '../registry/registry.ts'
import type { ClientLimits } from './client-limits.ts'
import type { Exchange } from './exchange.ts'
import { inTurn, type Turns } from './in-turn.ts'
import { RequestBody } from './read-body.ts'
import { Slots } from './slots.ts'

export interface ByteBodiesInit {
  /** Bodies read at once; more wait. */
  limit: number
  /** ms that a body waits for its turn before it is answered 429. */
  queueMs: number
  /** Of single clients. Default: none. */
  limits?: ClientLimits
  /** ms a body may pause. */
  stallMs: number
}

/** Admits request bodies, so that their number, and with it the memory they take, is bounded. */
export class ByteBodies {
  readonly #init: ByteBodiesInit
  readonly #turns: Turns

  constructor(init: ByteBodiesInit) {
    this.#init = init
    const { limit, queueMs: waitMs } = init
    this.#turns = { slots: new Slots(limit), waitMs, busy: `too many uploads at once (limit ${limit})` }
  }

  /**
   * Runs something that reads a body. Until its turn comes the body stays with the client, by backpressure: Docker, podman
   * and skopeo give a push up at the first 429, as a body that is a stream cannot be sent again.
   *
   * @throws {RegistryError} TOOMANYREQUESTS
   */
  async admit<T>(work: () => Promise<T>, exchange: Exchange): Promise<T> {
    const { limits, queueMs } = this.#init
    if (limits === undefined || exchange.visit === undefined) return inTurn(this.#turns, exchange, work)
    const release = await exchange.visit.takeUpload(queueMs, exchange.abortable)
    if (release === undefined) throw limits.uploadRefusal()
    try {
      return await inTurn(this.#turns, exchange, work)
    } finally {
      release()
    }
  }

  /**
   * A chunk or a whole blob; `undefined` when the request has no body.
   *
   * @param offset - where the URL says that it begins
   * @throws {RegistryError} BLOB_UPLOAD_INVALID for a `Content-Range` that is none, BLOB_UPLOAD_OUT_OF_ORDER for one that
   * ends before it starts, SIZE_INVALID for one of another length than `Content-Length`
   */
  uploadOf(exchange: Exchange, offset?: number): UploadBody | undefined {
    const header = exchange.header('content-range')
    const range = header === undefined ? undefined : parseContentRange(header)
    if (header !== undefined && range === undefined) throw badContentRange(header)
    const length = exchange.contentLength
    if (range !== undefined && length !== undefined && length !== range.end - range.start) {
      throw new RegistryError('SIZE_INVALID', {
        message: `Content-Range spans ${range.end - range.start} bytes, Content-Length says ${length}`
      })
    }
    if (!exchange.hasBody) return undefined
    const promised = range === undefined ? length : range.end - range.start
    const bytes = new RequestBody(exchange, {
      stallMs: this.#init.stallMs,
      stalled: 'BLOB_UPLOAD_STALLED',
      lend: true
    })
    return {
      bytes,
      client: bytes,
      ...(range === undefined ? {} : { start: range.start }),
      ...(offset === undefined ? {} : { offset }),
      ...(promised === undefined ? {} : { length: promised })
    }
  }
}

function badContentRange(header: string): RegistryError {
  const message = `invalid Content-Range "${header.slice(0, 100)}": expected <first>-<last>, both inclusive`
  const backwards = /^(?:bytes[ =]+)?\d+-\d+(?:\/|$)/i.test(header.trim())
  return new RegistryError(backwards ? 'BLOB_UPLOAD_OUT_OF_ORDER' : 'BLOB_UPLOAD_INVALID', { message })
}
