import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Authorization } from 'acme-client'
import type { Challenges } from './challenges.ts'

const prefix = '/.well-known/acme-challenge/'

/** HTTP-01 (RFC 8555, 8.3) on a listener of its own, which knows nothing else. */
export class HttpChallenges implements Challenges {
  readonly type = 'http-01'
  readonly #answers = new Map<string, string>()
  readonly #server: Server

  constructor() {
    const options = { headersTimeout: 10_000, requestTimeout: 10_000, maxHeaderSize: 8 * 1024 }
    this.#server = createServer(options, (request, response) => {
      const path = request.url ?? ''
      const answer = path.startsWith(prefix) ? this.#answers.get(path.slice(prefix.length)) : undefined
      const headers = { 'Content-Type': 'text/plain', 'X-Content-Type-Options': 'nosniff', Connection: 'close' }
      response.writeHead(answer === undefined ? 404 : 200, headers).end(answer ?? 'there is nothing here\n')
    })
    this.#server.maxConnections = 256
  }

  async listen(address: { host?: string; port: number }): Promise<number> {
    this.#server.listen(address)
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  async prepare(_authorization: Authorization, token: string, answer: string): Promise<AsyncDisposable> {
    this.#answers.set(token, answer)
    return {
      [Symbol.asyncDispose]: async () => {
        this.#answers.delete(token)
      }
    }
  }
}
