import { Agent, type IncomingMessage, request } from 'node:http'
import { createInterface } from 'node:readline'
import { errorTable, type OciErrorEntry, type Reason, RegistryError, RegistryErrors } from '../errors.ts'
import { type ErrorLine, reasonHeader } from '../http/control-protocol.ts'
import type { AbortOptions } from '../registry/ports.ts'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'

type Method = 'GET' | 'POST'

/** HTTP to a node's control socket; one connection, kept open. */
export class ControlClient {
  readonly #socket: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 })

  constructor(socket: string) {
    this.#socket = socket
  }

  /**
   * One value back.
   *
   * @throws {RegistryError} what the node answered
   */
  async json<T>(method: Method, path: string, body: object | undefined, options?: AbortOptions): Promise<T> {
    const response = await this.call(method, path, body, options)
    // The other end is a node of the same protocol version, behind a socket that only its owner can make.
    return JSON.parse(await readText(response)) as T
  }

  /** Lines as they come; leaving the loop hangs up, which stops the work. @throws {RegistryError} */
  async *lines<T extends object>(
    method: Method,
    path: string,
    body: object | undefined,
    options?: AbortOptions
  ): AsyncGenerator<Exclude<T, ErrorLine>> {
    const response = await this.call(method, path, body, options)
    try {
      for await (const text of createInterface({ input: response, crlfDelay: Infinity })) {
        const line = JSON.parse(text) as Exclude<T, ErrorLine> | ErrorLine
        if ('error' in line) throw errorOf(line.error.reason, line.error.errors)
        yield line
      }
    } catch (error) {
      if (response.errored === null) throw error
      options?.signal?.throwIfAborted()
      throw new CommandFailure(exitCodes.failure, 'the node broke off its answer; its log says why', { cause: error })
    } finally {
      response.destroy()
    }
  }

  /** A response whose status is a success. @throws {RegistryError} */
  async call(method: Method, path: string, body: object | undefined, options?: AbortOptions): Promise<IncomingMessage> {
    const response = await this.#send(method, path, body, options)
    if ((response.statusCode ?? 500) < 400) {
      if (response.statusCode === 204) response.resume()
      return response
    }
    const text = await readText(response)
    throw errorOf(String(response.headers[reasonHeader] ?? ''), entriesIn(text))
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(method: Method, path: string, body: object | undefined, options?: AbortOptions): Promise<IncomingMessage> {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers =
      text === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }
    return new Promise((settle, reject) => {
      const sent = request({
        socketPath: this.#socket,
        agent: this.#agent,
        method,
        path,
        headers,
        ...(options?.signal && { signal: options.signal })
      })
      sent.once('response', settle)
      sent.once('error', error => reject(options?.signal?.aborted ? options.signal.reason : this.#explain(error)))
      sent.end(text)
    })
  }

  #explain(error: Error): Error {
    const code = 'code' in error ? error.code : undefined
    if (code === 'EACCES' || code === 'EPERM') {
      return new CommandFailure(exitCodes.busy, `a node is running and only its owner may ask it (${this.#socket})`, {
        cause: error
      })
    }
    return new CommandFailure(
      exitCodes.busy,
      `a node is running and does not answer on ${this.#socket}: ${error.message}`,
      {
        cause: error
      }
    )
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8')
  let text = ''
  for await (const chunk of response) text += chunk
  return text
}

function entriesIn(text: string): OciErrorEntry[] {
  try {
    const { errors } = JSON.parse(text) as { errors?: OciErrorEntry[] }
    return errors ?? []
  } catch {
    return []
  }
}

/** The node's error as it was there, so that it is told and counted as if it had happened here. */
function errorOf(reason: string, entries: readonly OciErrorEntry[]): RegistryError | RegistryErrors {
  const known: Reason = isReason(reason) ? reason : 'UNKNOWN'
  const [first, ...rest] = entries.map(({ message, detail }) => new RegistryError(known, { message, detail }))
  if (first === undefined) return new RegistryError(known)
  return rest.length === 0 ? first : new RegistryErrors([first, ...rest])
}

function isReason(text: string): text is Reason {
  return Object.hasOwn(errorTable, text)
}
