import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { AbortOptions } from '../registry/ports.ts'

export interface ControlRequest {
  method: 'GET' | 'POST'
  /** As the control protocol has it, e.g. `/version`. */
  path: string
  /** JSON. */
  body?: string
}

export interface ControlResponse {
  status: number
  headers: IncomingHttpHeaders
  /** To be read to its end or destroyed. */
  body: Readable
}

/** The way to a node's control routes: its socket, or its admin API from afar. */
export interface ControlTransport {
  /** The node as a sentence names it. */
  readonly name: string
  /**
   * A response of any status.
   *
   * @throws {CommandFailure} when there is none
   */
  send(request: ControlRequest, options?: AbortOptions): Promise<ControlResponse>
  close(): void
}

export function bodyHeaders(body: string | undefined): Record<string, string> {
  return body === undefined
    ? {}
    : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(body)) }
}
