import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Head, ResponseParser } from './response-parser.ts'

/** Bytes handed to the socket before the kernel has to have taken them. */
const inFlight = 2 << 20
const receiveBuffer = 1 << 20

export interface RequestBody {
  buffers(): Iterable<Buffer>
  /** Bytes; without it the body goes chunked, in chunks as long as the buffers but of 32 KiB at most, as Go's clients do. */
  length?: number
}

export interface Response extends Head {
  /** Of the body, unless a sink took it. */
  body: string
}

/** One keep-alive connection over a raw socket; one request at a time. */
export class Connection {
  readonly #socket: Socket
  readonly #host: string
  #sink: ((bytes: Buffer) => void) | undefined
  #waiting: { resolve(head: Head): void; reject(error: Error): void } | undefined

  private constructor(host: string, open: (onread: (bytes: Buffer) => void) => Socket) {
    this.#host = host
    const parser = new ResponseParser(
      bytes => this.#sink?.(bytes),
      head => this.#waiting?.resolve(head)
    )
    this.#socket = open(bytes => {
      try {
        parser.push(bytes)
      } catch (error) {
        this.#socket.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    })
    this.#socket.setNoDelay(true)
    this.#socket.on('error', error => this.#waiting?.reject(error))
    this.#socket.on('close', () => this.#waiting?.reject(new Error(`${host} closed the connection`)))
  }

  /** @param origin `http://host:port` or `https://…`, whose certificate is not checked */
  static async open(origin: string): Promise<Connection> {
    const url = new URL(origin)
    const secure = url.protocol === 'https:'
    const address = { host: url.hostname, port: Number(url.port || (secure ? 443 : 80)) }
    const connection = new Connection(url.host, take => (secure ? openSecure(address, take) : openPlain(address, take)))
    await once(connection.#socket, secure ? 'secureConnect' : 'connect')
    return connection
  }

  /** @throws {Error} when the connection ends before the response does */
  async request(
    method: string,
    target: string,
    options: { headers?: Record<string, string>; body?: RequestBody; sink?: (bytes: Buffer) => void } = {}
  ): Promise<Response> {
    const { headers = {}, body, sink } = options
    const parts: Buffer[] = []
    this.#sink = sink ?? (bytes => void parts.push(Buffer.from(bytes)))
    const answered = new Promise<Head>((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
    const settled = answered.then(
      (): true => true,
      (): true => true
    )
    const length = body === undefined ? 0 : body.length
    const framing = length === undefined ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': String(length) }
    const all = { Host: this.#host, ...(method === 'GET' ? {} : framing), ...headers }
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
    this.#socket.write(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`)
    if (body !== undefined) await this.#send(body, settled)
    const head = await answered
    this.#waiting = undefined
    return { ...head, body: Buffer.concat(parts).toString() }
  }

  close(): void {
    this.#socket.destroy()
  }

  async #send(body: RequestBody, settled: Promise<true>): Promise<void> {
    for (const buffer of body.buffers()) {
      if (body.length === undefined) this.#writeChunked(buffer)
      else this.#socket.write(buffer)
      if (this.#socket.writableLength <= inFlight) continue
      // An answer before the end of the body is a refusal.
      if ((await Promise.race([settled, once(this.#socket, 'drain')])) === true) return
    }
    if (body.length === undefined) this.#socket.write('0\r\n\r\n')
  }

  #writeChunked(buffer: Buffer): void {
    const limit = 32 << 10
    this.#socket.cork()
    for (let at = 0; at < buffer.length; at += limit) {
      const chunk = buffer.subarray(at, at + limit)
      this.#socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
      this.#socket.write(chunk)
      this.#socket.write('\r\n', 'latin1')
    }
    this.#socket.uncork()
  }
}

interface Address {
  host: string
  port: number
}

/** Every read into one buffer: a new one a read would cost more than the rest. */
function openPlain(address: Address, take: (bytes: Buffer) => void): Socket {
  const buffer = Buffer.allocUnsafeSlow(receiveBuffer)
  const callback = (length: number): boolean => {
    take(buffer.subarray(0, length))
    return true
  }
  return connect({ ...address, onread: { buffer, callback } })
}

function openSecure(address: Address, take: (bytes: Buffer) => void): Socket {
  return connectTls({ ...address, rejectUnauthorized: false }).on('data', take)
}
