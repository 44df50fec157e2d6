import { type ClientRequest, type IncomingMessage, request as plainly, type RequestOptions } from 'node:http'
import { request as securely } from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { GuardedHttpAgent, GuardedHttpsAgent } from './agents.ts'
import { EgressError } from './error.ts'

export interface Agents {
  http: GuardedHttpAgent
  https: GuardedHttpsAgent
}

export interface DialInit {
  method: string
  headers: Readonly<Record<string, string>>
  body: string | Uint8Array | Readable | undefined
  /** ms until the headers of the answer are there. */
  headersMs: number
  signal?: AbortSignal
}

/** One request, no redirect followed. The signal ends the body of the answer too. */
export async function dial(agents: Agents, url: URL, init: DialInit): Promise<IncomingMessage> {
  const { method, headers, body, headersMs, signal } = init
  signal?.throwIfAborted()
  const options: RequestOptions = { method, headers, ...(signal && { signal }) }
  const request =
    url.protocol === 'https:'
      ? securely(url, { ...options, agent: agents.https })
      : plainly(url, { ...options, agent: agents.http })
  const answered = answerOf(request, url.host, headersMs)
  if (body instanceof Readable) void pipeline(body, request).catch(error => request.destroy(asError(error)))
  else request.end(body)
  return await answered
}

function answerOf(request: ClientRequest, host: string, headersMs: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      request.destroy(new EgressError('TIMEOUT', `${host} did not answer within ${headersMs} ms`))
    }, headersMs)
    request.once('response', message => {
      clearTimeout(timer)
      resolve(message)
    })
    // Stays: what fails after the answer is told by its body.
    request.on('error', error => {
      clearTimeout(timer)
      reject(error)
    })
  })
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
