/** Bytes on a bare socket, and whatever comes back, taken apart as a strict client would. */
import net from 'node:net'

export interface RawAnswer {
  status: number
  /** Names in lower case; values of repeated headers joined by a comma. */
  headers: Record<string, string>
  body: Buffer
}

export interface WireOptions {
  /** Closes the client's half after the bytes were written. Default false. */
  halfClose?: boolean
  /** Written after this pause, ms, one after the other. */
  later?: readonly { after: number; bytes: string | Buffer }[]
  /** Methods of the requests, where an answer to HEAD is among them. */
  methods?: readonly string[]
}

/** ms that nothing here may take. */
const patience = 15_000

/** Writes, and gives every answer until the server closes the connection. */
export async function exchange(port: number, bytes: string | Buffer, options: WireOptions = {}): Promise<RawAnswer[]> {
  const received = await new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`the server did not close; it sent: ${Buffer.concat(chunks).toString('latin1').slice(0, 500)}`))
    }, patience)
    socket.on('data', chunk => chunks.push(chunk))
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(Buffer.concat(chunks))
    })
    const write = (part: string | Buffer) => {
      if (socket.writable) socket.write(part, 'latin1')
    }
    write(bytes)
    let delay = 0
    for (const { after, bytes: more } of options.later ?? []) {
      delay += after
      setTimeout(write, delay, more)
    }
    if (options.halfClose === true) socket.end()
  })
  return parseAnswers(received, options.methods ?? [])
}

/** @throws when the bytes are anything but whole HTTP/1.1 responses */
export function parseAnswers(received: Buffer, methods: readonly string[]): RawAnswer[] {
  const answers: RawAnswer[] = []
  for (let at = 0; at < received.length; ) {
    const end = received.indexOf('\r\n\r\n', at)
    if (end < 0) throw new Error(`a head without an end: ${received.subarray(at).toString('latin1').slice(0, 200)}`)
    const { status, headers } = parseHead(received.subarray(at, end).toString('latin1'))
    at = end + 4
    if (status < 200) continue
    const promised = Number(headers['content-length'] ?? Number.NaN)
    // A head that no parser understands has no method either: its refusal has a body, and is the last.
    const refused = status >= 400 && headers.connection === 'close' && at + promised === received.length
    const bare = status === 204 || status === 304 || (methods[answers.length] === 'HEAD' && !refused)
    const size = bare ? 0 : promised
    if (!Number.isSafeInteger(size) || at + size > received.length) throw new Error(`the body of a ${status} is cut`)
    answers.push({ status, headers, body: received.subarray(at, at + size) })
    at += size
  }
  return answers
}

function parseHead(text: string): { status: number; headers: Record<string, string> } {
  const [line = '', ...fields] = text.split('\r\n')
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1]
  if (status === undefined) throw new Error(`no status line: ${line.slice(0, 200)}`)
  const headers: Record<string, string> = {}
  for (const field of fields) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(field)
    if (match === null) throw new Error(`no header: ${field.slice(0, 200)}`)
    const name = (match[1] ?? '').toLowerCase()
    headers[name] = headers[name] === undefined ? (match[2] ?? '') : `${headers[name]}, ${match[2]}`
  }
  return { status: Number(status), headers }
}

/** A request; `Host` and `Connection: close` unless given, `Content-Length` unless the framing is told. */
export function requestOf(
  method: string,
  target: string,
  headers: readonly string[] = [],
  body: string | Buffer = ''
): Buffer {
  const has = (name: string) => headers.some(header => header.toLowerCase().startsWith(`${name}:`))
  const lines = [`${method} ${target} HTTP/1.1`]
  if (!has('host')) lines.push('Host: registry.example')
  if (!has('connection')) lines.push('Connection: close')
  lines.push(...headers)
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body
  if (bytes.length > 0 && !has('content-length') && !has('transfer-encoding'))
    lines.push(`Content-Length: ${bytes.length}`)
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes])
}
