import type { Socket } from 'node:net'
import type { Exchange } from './exchange.ts'

/** Requests that may wait behind the one being answered. No known client pipelines; the bound is memory's. */
const maxPipelined = 32

/** One client connection. Requests that arrive on it while one is answered wait their turn, unread. */
export class Connection {
  /** The request being answered. */
  current: Exchange | undefined
  /** Accepted beyond the limit: its requests are answered 429. */
  readonly surplus: boolean
  /** Whether its listener can be reached from this machine only. */
  readonly onLoopback: boolean
  /** Answered on the raw socket already; nothing more is said. */
  condemned = false
  readonly #socket: Socket
  readonly #waiting: (() => void)[] = []

  constructor(socket: Socket, { surplus, onLoopback }: Pick<Connection, 'surplus' | 'onLoopback'>) {
    this.#socket = socket
    this.surplus = surplus
    this.onLoopback = onLoopback
  }

  /** Whether somebody still waits for an answer. */
  get busy(): boolean {
    return this.current !== undefined || this.#waiting.length > 0
  }

  /** Begins an exchange when those before it have closed. */
  wait(begin: () => void): void {
    if (this.#waiting.length < maxPipelined) this.#waiting.push(begin)
    else this.#socket.destroy()
  }

  /** The current exchange closed. */
  next(): void {
    this.current = undefined
    if (!this.#socket.destroyed) this.#waiting.shift()?.()
  }
}

export interface ConnectionsInit {
  /** Connections beyond this are surplus. */
  limit: number
  /** ms that a client which closed its half is still worked for before the answer begins. */
  halfClosedMs: number
}

/** Every open connection of all listeners of a node, so that they can be counted and ended. */
export class Connections {
  readonly limit: number
  /** Accepted sockets, before and under TLS. */
  readonly #sockets = new Set<Socket>()
  /** By the socket that requests arrive on. */
  readonly #connections = new Map<Socket, Connection>()

  readonly #halfClosedMs: number

  constructor(init: ConnectionsInit) {
    this.limit = init.limit
    this.#halfClosedMs = init.halfClosedMs
  }

  get count(): number {
    return this.#sockets.size
  }

  /** A socket was accepted. */
  accepted(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  /**
   * The connection requests arrive on: the socket itself, or the TLS socket over it.
   *
   * @param onLoopback - of the listener, when the connection is new
   */
  of(socket: Socket, onLoopback = false): Connection {
    const known = this.#connections.get(socket)
    if (known !== undefined) return known
    const connection = new Connection(socket, { surplus: this.#sockets.size > this.limit, onLoopback })
    this.#connections.set(socket, connection)
    socket.once('end', () => this.#halfClosed(socket, connection))
    socket.once('close', () => this.#connections.delete(socket))
    return connection
  }

  /** A hang-up and a client that merely has nothing more to say look the same until something is written. */
  #halfClosed(socket: Socket, connection: Connection): void {
    const timer = setTimeout(() => {
      if (connection.current?.response.headersSent !== true) socket.destroy()
    }, this.#halfClosedMs)
    socket.once('close', () => clearTimeout(timer))
  }

  /** Ends connections that nothing is being answered on. */
  destroyIdle(): void {
    for (const [socket, connection] of this.#connections) if (!connection.busy) socket.destroy()
  }

  destroyAll(): void {
    for (const socket of this.#connections.keys()) socket.destroy()
    for (const socket of this.#sockets) socket.destroy()
  }
}
