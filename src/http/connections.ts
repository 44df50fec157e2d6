import type { Socket } from 'node:net'
import type { Exchange } from './exchange.ts'

/** What is known of one client connection. */
export interface Connection {
  /** The request being answered. */
  current: Exchange | undefined
  /** Accepted beyond the limit: its first request is answered 429. */
  surplus: boolean
  /** Answered on the raw socket already; nothing more is said. */
  condemned: boolean
}

/** Every open connection of all listeners of a node, so that they can be counted and ended. */
export class Connections {
  /** Accepted sockets, before and under TLS. */
  readonly #sockets = new Set<Socket>()
  /** By the socket that requests arrive on. */
  readonly #connections = new Map<Socket, Connection>()
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  get count(): number {
    return this.#sockets.size
  }

  /** A socket was accepted. */
  accepted(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  /** The connection requests arrive on: the socket itself, or the TLS socket over it. */
  of(socket: Socket): Connection {
    const known = this.#connections.get(socket)
    if (known !== undefined) return known
    const connection: Connection = { current: undefined, surplus: this.#sockets.size > this.#limit, condemned: false }
    this.#connections.set(socket, connection)
    socket.once('close', () => this.#connections.delete(socket))
    return connection
  }

  /** Ends connections that nothing is being answered on. */
  destroyIdle(): void {
    for (const [socket, { current }] of this.#connections) if (current === undefined) socket.destroy()
  }

  destroyAll(): void {
    for (const socket of this.#connections.keys()) socket.destroy()
    for (const socket of this.#sockets) socket.destroy()
  }
}
