const noBody = new Set([204, 304])

/** What is needed of a response to go on. */
export interface Head {
  status: number
  /** Names in lower case; the last value of a repeated one. */
  headers: Map<string, string>
}

/**
 * HTTP/1.1 responses of a keep-alive connection, one after the other, with as little work as can be: what it costs is
 * taken from the server's share of the machine. Body bytes are only borrowed.
 */
export class ResponseParser {
  readonly #onBody: (bytes: Buffer) => void
  readonly #onEnd: (head: Head) => void
  #partial: Buffer | undefined
  #head: Head | undefined
  #chunked = false
  #left = 0
  /** In a chunked body: what comes next. */
  #next: 'size' | 'data' | 'trailer' = 'size'

  constructor(onBody: (bytes: Buffer) => void, onEnd: (head: Head) => void) {
    this.#onBody = onBody
    this.#onEnd = onEnd
  }

  /** @throws {Error} for what is no HTTP/1.1 response */
  push(input: Buffer): void {
    let bytes = this.#partial === undefined ? input : Buffer.concat([this.#partial, input])
    this.#partial = undefined
    while (bytes.length > 0) {
      const rest = this.#head === undefined ? this.#readHead(bytes) : this.#readBody(this.#head, bytes)
      if (rest === undefined) {
        this.#partial = Buffer.from(bytes)
        return
      }
      bytes = rest
    }
  }

  /** What follows the part that was understood; `undefined` when more is needed first. */
  #readHead(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    const head = parseHead(bytes.toString('latin1', 0, end))
    const rest = bytes.subarray(end + 4)
    if (head.status < 200) return rest
    this.#head = head
    this.#chunked = head.headers.get('transfer-encoding')?.toLowerCase() === 'chunked'
    this.#left = noBody.has(head.status) ? 0 : Number(head.headers.get('content-length') ?? 0)
    this.#next = 'size'
    if (!this.#chunked && this.#left === 0) this.#finish(head)
    return rest
  }

  #readBody(head: Head, bytes: Buffer): Buffer | undefined {
    if (!this.#chunked || this.#next === 'data') {
      const part = bytes.subarray(0, this.#left)
      this.#left -= part.length
      this.#onBody(part)
      if (this.#left === 0) {
        if (this.#chunked) this.#next = 'size'
        else this.#finish(head)
      }
      return bytes.subarray(part.length)
    }
    const end = bytes.indexOf('\r\n')
    if (end < 0) return undefined
    const line = bytes.toString('latin1', 0, end)
    const rest = bytes.subarray(end + 2)
    if (this.#next === 'trailer') {
      if (line === '') this.#finish(head)
    } else if (line !== '') {
      // The empty line is the one that ends the chunk before.
      this.#left = Number.parseInt(line, 16)
      if (!Number.isSafeInteger(this.#left)) throw new Error(`no chunk size: ${line.slice(0, 20)}`)
      this.#next = this.#left === 0 ? 'trailer' : 'data'
    }
    return rest
  }

  #finish(head: Head): void {
    this.#head = undefined
    this.#onEnd(head)
  }
}

function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n')
  const status = /^HTTP\/1\.1 (\d{3})/.exec(first)?.[1]
  if (status === undefined) throw new Error(`no HTTP/1.1 response: ${first.slice(0, 80)}`)
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  return { status: Number(status), headers }
}
