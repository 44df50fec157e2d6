import type { Readable } from 'node:stream'
import { errorTable, type OciErrorEntry, type Reason, RegistryError, RegistryErrors } from '../errors.ts'
import { type ErrorLine, reasonHeader } from '../http/control-protocol.ts'
import type { AbortOptions } from '../registry/ports.ts'
import type { ControlRequest, ControlResponse, ControlTransport } from './control-transport.ts'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'
import { printable } from './terminal.ts'

type Method = ControlRequest['method']

/** The control protocol, whichever way it goes. */
export class ControlClient {
  readonly #transport: ControlTransport

  constructor(transport: ControlTransport) {
    this.#transport = transport
  }

  /** The node as a sentence names it. */
  get name(): string {
    return this.#transport.name
  }

  /**
   * One value back.
   *
   * @throws {RegistryError} what the node answered
   */
  async json<T>(method: Method, path: string, body: object | undefined, options?: AbortOptions): Promise<T> {
    const response = await this.call(method, path, body, options)
    return this.#parse<T>(await readText(response.body))
  }

  /** Lines as they come; leaving the loop hangs up, which stops the work. @throws {RegistryError} */
  async *lines<T extends object>(
    method: Method,
    path: string,
    body: object | undefined,
    options?: AbortOptions
  ): AsyncGenerator<Exclude<T, ErrorLine>> {
    const { body: answer } = await this.call(method, path, body, options)
    try {
      for await (const text of linesOf(answer)) {
        const line = this.#parse<Exclude<T, ErrorLine> | ErrorLine>(text)
        if ('error' in line) {
          const { reason, errors } = line.error
          throw errorOf(isReason(reason) ? reason : 'UNKNOWN', errors)
        }
        yield line
      }
    } catch (error) {
      if (answer.errored !== error) throw error
      options?.signal?.throwIfAborted()
      throw new CommandFailure(exitCodes.failure, `${this.name} broke off its answer; its log says why`, {
        cause: error
      })
    } finally {
      answer.destroy()
    }
  }

  /** A response whose status is a success. @throws {RegistryError} */
  async call(method: Method, path: string, body: object | undefined, options?: AbortOptions): Promise<ControlResponse> {
    const json = body === undefined ? {} : { body: JSON.stringify(body) }
    const response = await this.#transport.send({ method, path, ...json }, options)
    const { status, headers } = response
    if (status < 400) {
      if (status === 204) response.body.resume()
      return response
    }
    const entries = entriesIn(await readText(response.body))
    const reason = String(headers[reasonHeader] ?? '')
    // Who answers without our header stands before the node: a proxy, or another program at that address.
    throw isReason(reason)
      ? errorOf(reason, entries)
      : errorOf(byStatus[status] ?? 'UNKNOWN', entries, `it answers ${status}`)
  }

  close(): void {
    this.#transport.close()
  }

  #parse<T>(text: string): T {
    try {
      // The other end is a node of the same protocol version, which only its owner or an admin gets this far with.
      return JSON.parse(text) as T
    } catch (cause) {
      throw new CommandFailure(exitCodes.failure, `${this.name} gives an answer that is none of Pinnace`, { cause })
    }
  }
}

/** Bytes of one answer, or of one line of it; an image index with thousands of platforms is below one MiB. */
const longest = 16 * 1024 * 1024

async function readText(body: Readable): Promise<string> {
  body.setEncoding('utf8')
  let text = ''
  for await (const chunk of body) {
    text += chunk
    if (text.length > longest) throw tooLong()
  }
  return text
}

/** Without their ends; `node:readline` would hold a line of any length. */
async function* linesOf(body: Readable): AsyncGenerator<string> {
  body.setEncoding('utf8')
  let rest = ''
  for await (const chunk of body) {
    const [first = '', ...more] = String(chunk).split('\n')
    rest += first
    for (const text of more) {
      yield rest
      rest = text
    }
    if (rest.length > longest) throw tooLong()
  }
  if (rest !== '') yield rest
}

function tooLong(): CommandFailure {
  return new CommandFailure(exitCodes.failure, 'the answer is longer than any of a node')
}

function entriesIn(text: string): OciErrorEntry[] {
  try {
    const { errors } = JSON.parse(text) as { errors?: OciErrorEntry[] }
    return Array.isArray(errors) ? errors : []
  } catch {
    return []
  }
}

const byStatus: Readonly<Record<number, Reason>> = {
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'NOT_FOUND',
  429: 'TOOMANYREQUESTS',
  503: 'UNAVAILABLE'
}

/** The node's error as it was there, so that it is told and counted as if it had happened here. */
function errorOf(
  reason: Reason,
  entries: readonly OciErrorEntry[],
  message: string = errorTable[reason].message
): RegistryError | RegistryErrors {
  const [first, ...rest] = entries.map(
    entry => new RegistryError(reason, { message: printable(String(entry.message)), detail: entry.detail })
  )
  if (first === undefined) return new RegistryError(reason, { message })
  return rest.length === 0 ? first : new RegistryErrors([first, ...rest])
}

function isReason(text: string): text is Reason {
  return Object.hasOwn(errorTable, text)
}
