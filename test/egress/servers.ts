import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

export interface Seen {
  method: string
  path: string
  headers: IncomingHttpHeaders
  body: string
}

export interface TestServer {
  port: number
  url: string
  seen: Seen[]
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** An HTTP or HTTPS server on loopback that remembers what it was asked; stopped with the test. */
export async function startServer(
  answer: Answer,
  tls?: { key: Buffer; cert: Buffer },
  host = '127.0.0.1'
): Promise<TestServer> {
  const seen: Seen[] = []
  const onRequest = async (request: IncomingMessage, response: ServerResponse) => {
    const body = (await buffer(request)).toString()
    seen.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers, body })
    answer(request, response)
  }
  const server = tls === undefined ? createServer(onRequest) : createTlsServer(tls, onRequest)
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  const shown = host.includes(':') ? `[${host}]` : host
  return { port, seen, url: `${tls === undefined ? 'http' : 'https'}://${shown}:${port}` }
}
