import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http'
import type { Caller } from '../access/caller.ts'
import type { Digest } from '../oci/digest.ts'
import type { AbortOptions } from '../registry/ports.ts'
import type { Audited } from './audit.ts'
import type { Visit } from './client-limits.ts'
import { drainRequest } from './drain-request.ts'
import type { Target } from './parse-target.ts'
import type { Client } from './source.ts'

/** Header names and values, alternating; names may repeat. The form Node writes fastest. */
export type HeaderList = string[]

/** The client hung up or stopped reading: nobody is left to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone'
}

/** What a request could not have said itself. */
export interface ExchangeInit {
  id: string
  client: Client
  /** Sent on every response: configured extra headers and our own. */
  headers: readonly string[]
  /** The client waits for `100 Continue` before it sends its body. */
  expectsContinue: boolean
  /** Shared by all exchanges of a node. */
  state: NodeState
  /**
   * Called once: when the response is written, or closed before it was. What is still read of the request after its answer
   * is not waited for.
   */
  done?(exchange: Exchange): void
}

export interface NodeState {
  /** The node is stopping: every response closes its connection. */
  stopping: boolean
}

/** Rests of a body up to this many bytes are read away so that the connection can be kept. */
const keepRest = 256 * 1024

/** One request and its response. */
export class Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly id: string
  /** Whom the request comes from, also when a proxy brings it. */
  readonly client: Client
  readonly startedAt = performance.now()
  /** Who asks, once that is known. */
  caller: Caller | undefined
  /** What it asks of the OCI API, once that is parsed. */
  target: Target | undefined
  /** The digest that a manifest was stored under, for the audit log. */
  produced: Digest | undefined
  /** For the audit log, where the target does not tell. */
  audited: Audited | undefined
  /** Label of the route in metrics, never anything a client chose. */
  route = 'other'
  /** Status of the answer, also of one that the client did not wait for; another framework's is the response's. */
  status: number | undefined
  /** Bytes of the response's body. */
  sent = 0
  /** Bytes of the request's body that a handler took. */
  received = 0
  /** Set once the response closed, finished or not. */
  closed = false
  /** The whole response is written; only the rest of the request is still read away. */
  answered = false
  /** The kernel has the whole response. */
  complete = false
  readonly #headers: readonly string[]
  #expectsContinue: boolean
  readonly #state: NodeState
  #closing = false
  #aborter: AbortController | undefined
  #query: URLSearchParams | undefined
  #visit: Visit | undefined
  #done: ExchangeInit['done']

  constructor(request: IncomingMessage, response: ServerResponse, init: ExchangeInit) {
    this.request = request
    this.response = response
    this.id = init.id
    this.client = init.client
    this.#headers = init.headers
    this.#expectsContinue = init.expectsContinue
    this.#state = init.state
    this.#done = init.done
  }

  /** Path of the target as it was sent, without query, also of the absolute form (RFC 9112, section 3.2.2). */
  get path(): string {
    const url = this.request.url ?? '/'
    const end = url.indexOf('?')
    const path = end < 0 ? url : url.slice(0, end)
    if (path.startsWith('/')) return path
    return /^https?:\/\/[^/]*(\/.*)?$/i.exec(path)?.[1] ?? path
  }

  get query(): URLSearchParams {
    if (this.#query === undefined) {
      const url = this.request.url ?? ''
      const mark = url.indexOf('?')
      this.#query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1))
    }
    return this.#query
  }

  /** One value of a header, several joined by commas as Node does. */
  header(name: string): string | undefined {
    const value = this.request.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }

  /** Bytes of the body as declared; `undefined` when it is chunked. */
  get contentLength(): number | undefined {
    if (this.request.headers['transfer-encoding'] !== undefined) return undefined
    return Number(this.request.headers['content-length'] ?? 0)
  }

  get hasBody(): boolean {
    return this.contentLength !== 0
  }

  /** Status for logs and metrics; 499, as others call it, where the client hung up before there was one. */
  get loggedStatus(): number {
    return this.status ?? (this.response.headersSent ? this.response.statusCode : 499)
  }

  /** Aborts when the client hangs up. */
  get signal(): AbortSignal {
    if (this.#aborter === undefined) {
      this.#aborter = new AbortController()
      if (this.closed) this.#aborter.abort(new ClientGone('client hung up'))
    }
    return this.#aborter.signal
  }

  /** {@link signal} as the options of an I/O function. */
  get abortable(): AbortOptions {
    return { signal: this.signal }
  }

  /** The request as its client's limits count it; absent for a client that has none. */
  get visit(): Visit | undefined {
    return this.#visit
  }

  /** The request was counted; it is over with the response. */
  enter(visit: Visit | undefined): void {
    // Who it is took a while to find out, and the client may be gone.
    if (this.closed) visit?.leave()
    else this.#visit = visit
  }

  /** The response closed; whoever still works for it is told. */
  close(): void {
    this.closed = true
    this.#visit?.leave()
    this.complete ||= this.response.writableFinished
    this.#report()
    if (this.response.writableFinished) return
    this.#aborter?.abort(new ClientGone('client hung up'))
  }

  /** Lets a client that asked for it send the body; called when the first byte is wanted. */
  admitBody(): void {
    if (!this.#expectsContinue) return
    this.#expectsContinue = false
    this.response.writeContinue()
  }

  /** This response is the connection's last. */
  closeConnection(): void {
    this.#closing = true
  }

  /** Hands the response to another framework, with the headers every response carries. */
  delegate(answer: () => void): void {
    const { response } = this
    const byName = new Map<string, string[]>()
    for (let at = 0; at + 1 < this.#headers.length; at += 2) {
      const name = this.#headers[at] ?? ''
      byName.set(name, [...(byName.get(name) ?? []), this.#headers[at + 1] ?? ''])
    }
    for (const [name, values] of byName) response.setHeader(name, values.length === 1 ? (values[0] ?? '') : values)
    response.setHeader('X-Request-Id', this.id)
    if (this.#closing || this.#state.stopping) response.setHeader('Connection', 'close')
    this.admitBody()
    answer()
  }

  /** Writes status and headers. */
  begin(status: number, headers: HeaderList): void {
    this.status = status
    const all: OutgoingHttpHeader[] = [...this.#headers, 'X-Request-Id', this.id, ...headers]
    if (this.#closing || this.#state.stopping) all.push('Connection', 'close')
    this.response.writeHead(status, all)
  }

  /** The whole response. A body that is still arriving is read away within bounds, so that the client sees the answer. */
  send(status: number, headers: HeaderList, body?: string | Uint8Array): void {
    const length = body === undefined ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength
    if (status !== 204 && status !== 304) headers.push('Content-Length', String(length))
    if (this.request.method !== 'HEAD') this.sent = length
    this.#answer(status, headers, body)
  }

  /** Like {@link send} with no body, but of headers that announce the length GET would have. */
  sendHead(status: number, headers: HeaderList): void {
    this.#answer(status, headers, undefined)
  }

  /** It was answered on the bare socket, because the rest of the request is none. */
  answeredRaw(status: number, sent: number): void {
    this.status = status
    this.sent = sent
    this.complete = true
    this.#report()
  }

  #report(): void {
    const done = this.#done
    this.#done = undefined
    done?.(this)
  }

  #answer(status: number, headers: HeaderList, body: string | Uint8Array | undefined): void {
    if (this.response.headersSent) return
    this.status = status
    if (this.closed) return
    if (this.hasBody && !this.request.readableEnded) {
      this.#answerEarly(status, headers, body)
      return
    }
    this.begin(status, headers)
    if (body === undefined) this.response.end()
    else this.response.end(body)
  }

  /**
   * The response is complete on the wire before its end is declared, because ending it with a body unread makes Node
   * either read that body without limit or close, and closing with unread bytes resets the connection under the answer.
   */
  #answerEarly(status: number, headers: HeaderList, body: string | Uint8Array | undefined): void {
    const rest = (this.contentLength ?? Number.POSITIVE_INFINITY) - this.received
    if (this.#expectsContinue || rest > keepRest) this.#closing = true
    this.begin(status, headers)
    this.answered = true
    const written = (error?: Error | null) => {
      if (error instanceof Error) return
      this.complete = true
      this.#report()
    }
    if (body === undefined || this.request.method === 'HEAD') {
      this.response.flushHeaders()
      written()
    } else this.response.write(body, written)
    drainRequest(this.request, whole => {
      if (!whole && !this.#closing) this.response.destroy()
      else this.response.end()
    })
  }
}
