import http, { type IncomingHttpHeaders } from 'node:http'
import net from 'node:net'
import { onTestFinished } from 'vitest'
import { type Authorize, openAccess } from '../../src/access/authorize.ts'
import { type App, type AppComponents, type AppInit, createApp } from '../../src/http/app.ts'
import { type ListenInit, type Listening, listen } from '../../src/http/listen.ts'
import { MemoryRegistry } from './memory-registry.ts'

export interface LogLine {
  level: 'debug' | 'info' | 'warn' | 'error'
  fields: object
  message: string
}

/** A log that keeps its lines. */
export function memoryLog() {
  const lines: LogLine[] = []
  const at = (level: LogLine['level']) => (fields: object, message: string) =>
    void lines.push({ level, fields, message })
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  /** Names as sent, values alternating. */
  rawHeaders: string[]
  body: Buffer
  /** Codes of an OCI error body. */
  codes: string[]
}

export interface Ask {
  method?: string
  headers?: http.OutgoingHttpHeaders | readonly string[]
  body?: string | Uint8Array
  agent?: http.Agent | false
}

export interface Served {
  registry: MemoryRegistry
  log: ReturnType<typeof memoryLog>
  app: App
  listening: Listening
  port: number
  ask(path: string, init?: Ask): Promise<Answer>
  /** A raw connection: what is written goes out as it is. */
  connect(): Promise<Wire>
}

export interface Wire {
  socket: net.Socket
  /** Everything received so far, as latin1. */
  readonly text: string
  /** Resolves when what was received matches. */
  until(pattern: RegExp): Promise<string>
  /** Resolves when the server closed, with everything received. */
  closed: Promise<string>
}

export interface ServeOptions {
  init?: AppInit
  listenInit?: ListenInit
  /** Where it listens; asked on 127.0.0.1 all the same. Default: there. */
  host?: string
  authorize?: Authorize
  components?: Partial<AppComponents>
}

/** The application on a free port, of loopback unless it is told otherwise, over an in-memory registry; stopped with the test. */
export async function serve(options: ServeOptions = {}): Promise<Served> {
  const registry = new MemoryRegistry()
  const log = memoryLog()
  const app = createApp(
    { registry, authorize: options.authorize ?? openAccess, log, ...options.components },
    // Raw requests call it as they like; what it answers to is the matter of host.test.ts.
    { hosts: ['*'], ...options.init }
  )
  const listening = await listen(app, [{ host: options.host ?? '127.0.0.1', port: 0 }], options.listenInit)
  onTestFinished(async () => void (await listening.drain(0)))
  const port = Number(new URL(listening.urls[0] ?? '').port)
  return {
    registry,
    log,
    app,
    listening,
    port,
    ask: (path, init) => ask(port, path, init),
    connect: () => connect(port)
  }
}

export function ask(port: number, path: string, init: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers, body, agent = false } = init
    const request = http.request({
      host: '127.0.0.1',
      port,
      path,
      method,
      agent,
      ...(headers === undefined ? {} : { headers })
    })
    request.on('error', reject)
    request.on('response', response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const whole = Buffer.concat(chunks)
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          rawHeaders: response.rawHeaders,
          body: whole,
          codes: codesOf(response.headers['content-type'], whole)
        })
      })
    })
    request.end(body)
  })
}

/** Codes of an OCI error body; empty for any other. */
function codesOf(type: string | undefined, body: Buffer): string[] {
  if (type?.startsWith('application/json') !== true || !body.toString().startsWith('{"errors"')) return []
  const parsed: { errors: { code: string; message: string }[] } = JSON.parse(body.toString())
  return parsed.errors.map(error => error.code)
}

async function connect(port: number): Promise<Wire> {
  const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  let text = ''
  socket.on('data', chunk => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => undefined)
  const closed = new Promise<string>(resolve => {
    socket.once('end', () => {
      socket.end()
      resolve(text)
    })
    socket.once('close', () => resolve(text))
  })
  onTestFinished(() => void socket.destroy())
  const until = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const check = () => {
        if (!pattern.test(text)) return
        socket.off('data', check)
        resolve(text)
      }
      socket.on('data', check)
      socket.once('close', () => reject(new Error(`closed after: ${text}`)))
      check()
    })
  return {
    socket,
    get text() {
      return text
    },
    until,
    closed
  }
}
