import { createConnection, createServer, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

/** A TCP relay on loopback whose way back from the target carries `bytesPerSecond`. */
export async function slowLink(targetPort: number, bytesPerSecond: number): Promise<{ port: number; close(): void }> {
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const target = createConnection(targetPort, '127.0.0.1')
    for (const socket of [client, target]) {
      sockets.add(socket)
      socket
        .once('error', () => {})
        .once('close', () => {
          sockets.delete(socket)
          client.destroy()
          target.destroy()
        })
    }
    client.pipe(target)
    target.pipe(throttle(bytesPerSecond)).pipe(client)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('not listening')
  const close = (): void => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { port: address.port, close }
}

function throttle(bytesPerSecond: number): Transform {
  return new Transform({
    highWaterMark: 64 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      void delay((chunk.byteLength / bytesPerSecond) * 1000).then(() => done(null, chunk))
    }
  })
}

/** What happens to one upload body on a {@link breakingLink}. */
export interface Fault {
  /** Bytes of the body that come through; the whole of it by default. */
  after?: (length: number) => number
  /**
   * `cut`: both ends lose the connection. `stall`: the target gets no more bytes, its answer still comes back. `answer`: the target
   * has everything, and its answer is lost. Or something to do while the connection hangs, which breaks then.
   */
  how: 'cut' | 'stall' | 'answer' | (() => Promise<void>)
}

/** A TCP relay on loopback that breaks the bodies of large `PUT` and `PATCH` requests, one for each fault, and then no more. */
export interface BreakingLink {
  port: number
  /** Faults that are still to come. */
  readonly faults: Fault[]
  /** Resolves when nothing is being done for a fault. */
  quiet(): Promise<void>
  close(): void
}

interface RelayInit {
  faults: Fault[]
  least: number
  /** What faults do, as long as they do it. */
  doing: Set<Promise<void>>
  /** Ends the connection on both sides. */
  broke(): void
}

/** @param least - bytes of a body that is large enough to be broken */
export async function breakingLink(targetPort: number, least = 1 << 20): Promise<BreakingLink> {
  const faults: Fault[] = []
  const doing = new Set<Promise<void>>()
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const target = createConnection(targetPort, '127.0.0.1')
    const broke = (): void => {
      client.destroy()
      target.destroy()
    }
    for (const socket of [client, target]) {
      sockets.add(socket)
      socket
        .once('error', () => {})
        .once('close', () => {
          sockets.delete(socket)
          // What was written before is still to be read at the other end.
          if (socket === target) client.end()
          else target.end()
        })
    }
    const requests = new RequestRelay(client, target, { faults, least, doing, broke })
    client.on('data', chunk => requests.take(chunk)).on('end', () => target.end())
    target.on('data', chunk => (requests.answerLost ? broke() : client.write(chunk)))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('not listening')
  const close = (): void => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  const quiet = async (): Promise<void> => void (await Promise.all(doing))
  return { port: address.port, faults, quiet, close }
}

/** Passes the requests of one connection on, knowing where the bodies are. */
class RequestRelay {
  /** Nothing that the target says comes through any more. */
  answerLost = false
  readonly #client: Socket
  readonly #target: Socket
  readonly #init: RelayInit
  /** Of a head that is not all there. */
  #head = Buffer.of()
  /** Bytes of the body still to come, and those that the fault lets through. */
  #left = 0
  #through = Number.POSITIVE_INFINITY
  #fault: Fault | undefined
  #silent = false

  constructor(client: Socket, target: Socket, init: RelayInit) {
    this.#client = client
    this.#target = target
    this.#init = init
  }

  take(chunk: Buffer): void {
    let rest: Buffer = chunk
    while (rest.length > 0 && !this.#silent) rest = this.#left > 0 ? this.#takeBody(rest) : this.#takeHead(rest)
  }

  #takeHead(chunk: Buffer): Buffer {
    const all = Buffer.concat([this.#head, chunk])
    // A client that tries TLS first: nothing to be read there.
    if (all[0] === 0x16) this.#left = Number.POSITIVE_INFINITY
    if (all[0] === 0x16) return all
    const end = all.indexOf('\r\n\r\n') + 4
    this.#head = end < 4 ? all : Buffer.of()
    if (end < 4) return Buffer.of()
    const head = all.subarray(0, end).toString('latin1')
    this.#left = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
    if (/^transfer-encoding:/im.test(head)) this.#left = Number.POSITIVE_INFINITY
    this.#write(all.subarray(0, end))
    if (this.#left >= this.#init.least && /^(?:PUT|PATCH) \S*\/blobs\/uploads\//.test(head)) this.#arm()
    return all.subarray(end)
  }

  #arm(): void {
    this.#fault = this.#init.faults.shift()
    // The target answers when it has everything, also of a body whose length is not told.
    if (this.#fault?.how === 'answer') {
      this.#fault = undefined
      this.answerLost = true
    }
    this.#through = this.#fault?.after?.(this.#left) ?? this.#left
    if (this.#through === 0) this.#break()
  }

  #takeBody(chunk: Buffer): Buffer {
    const part = chunk.subarray(0, Math.min(this.#left, this.#through))
    this.#left -= part.length
    this.#through -= part.length
    this.#write(part)
    if (this.#fault !== undefined && this.#through === 0) this.#break()
    if (this.#left === 0) this.#through = Number.POSITIVE_INFINITY
    return chunk.subarray(part.length)
  }

  #break(): void {
    const how = this.#fault?.how
    this.#fault = undefined
    this.#silent = true
    const { doing, broke } = this.#init
    if (how === 'cut') this.#target.end(broke)
    if (typeof how !== 'function') return
    const work = how().finally(broke)
    doing.add(work)
    work.finally(() => doing.delete(work)).catch(() => {})
  }

  #write(bytes: Buffer): void {
    if (this.#target.write(bytes)) return
    this.#client.pause()
    this.#target.once('drain', () => this.#client.resume())
  }
}
