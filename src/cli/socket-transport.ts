import { Agent, request } from 'node:http'
import type { AbortOptions } from '../registry/ports.ts'
import { bodyHeaders, type ControlRequest, type ControlResponse, type ControlTransport } from './control-transport.ts'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'

/** HTTP over the control socket in a data folder; one connection, kept open. */
export class SocketTransport implements ControlTransport {
  readonly name = 'the running node'
  readonly #socket: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 })

  constructor(socket: string) {
    this.#socket = socket
  }

  send({ method, path, body }: ControlRequest, options?: AbortOptions): Promise<ControlResponse> {
    return new Promise((settle, reject) => {
      const sent = request({
        socketPath: this.#socket,
        agent: this.#agent,
        method,
        path,
        headers: bodyHeaders(body),
        ...(options?.signal && { signal: options.signal })
      })
      sent.once('response', body => settle({ status: body.statusCode ?? 500, headers: body.headers, body }))
      sent.once('error', error => reject(options?.signal?.aborted ? options.signal.reason : this.#explain(error)))
      sent.end(body)
    })
  }

  close(): void {
    this.#agent.destroy()
  }

  #explain(cause: Error): Error {
    const code = 'code' in cause ? cause.code : undefined
    const message =
      code === 'EACCES' || code === 'EPERM'
        ? `a node is running and only its owner may ask it (${this.#socket})`
        : `a node is running and does not answer on ${this.#socket}: ${cause.message}`
    return new CommandFailure(exitCodes.busy, message, { cause })
  }
}
