import type { Socket } from 'node:net'
import { networkOf } from '../access/back-off-source.ts'
import type { Exchange } from './exchange.ts'

/** Requests that may wait behind the one being answered. No known client pipelines; the bound is memory's. */
const maxPipelined = 32

/** Whose limit a connection is beyond. */
export type Surplus = 'ipfs.limits.sockets' | 'ipfs.limits.client.connections'

/** One client connection. Requests that arrive on it while one is answered wait their turn, unread. */
export class Connection {
  /** The request being answered. */
  current: Exchange | undefined
  /** Accepted beyond the limit that this setting names: its requests are answered 429. */
  readonly surplus: Surplus | undefined
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

  /** Begins an exchange, at once or when those before it have closed. */
  whenFree(begin: () => void): void {
    if (!this.busy) begin()
    else if (this.#waiting.length < maxPipelined) this.#waiting.push(begin)
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
  /** Those of one network beyond this are surplus, and beyond a few more not taken; 0 is any number. Default 0. */
  perClient?: number
  /** Whether an address is a client's own. Default: every one is. */
  isClient?(address: string): boolean
  /** ms that a client which closed its half is still worked for before the answer begins. */
  halfClosedMs: number
}

/** Connections of one client that are told of their surplus at once; more are cut, or they would take what others need. */
const perClientTold = 64

/** Every open connection of all listeners of a node, so that they can be counted and ended. */
export class Connections {
  readonly limit: number
  /** Accepted sockets, before and under TLS. */
  readonly #sockets = new Set<Socket>()
  /** By the socket that requests arrive on. */
  readonly #connections = new Map<Socket, Connection>()

  readonly #init: ConnectionsInit
  /** Sockets by the network they come from, of bounded clients. */
  readonly #counts = new Map<string, number>()

  constructor(init: ConnectionsInit) {
    this.limit = init.limit
    this.#init = init
  }

  get count(): number {
    return this.#sockets.size
  }

  /** A socket was accepted. */
  accepted(socket: Socket): void {
    // Given back to its server, see ignore-upgrades.ts.
    if (this.#sockets.has(socket)) return
    this.#sockets.add(socket)
    const client = this.#clientOf(socket)
    const count = client === undefined ? 0 : (this.#counts.get(client) ?? 0) + 1
    if (client !== undefined) this.#counts.set(client, count)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      if (client !== undefined) this.#left(client)
    })
    if (count > (this.#init.perClient ?? 0) + perClientTold) socket.destroy()
  }

  #left(client: string): void {
    const count = (this.#counts.get(client) ?? 0) - 1
    if (count > 0) this.#counts.set(client, count)
    else this.#counts.delete(client)
  }

  /** The network of a client whose connections are counted. */
  #clientOf({ remoteAddress }: Socket): string | undefined {
    const { perClient = 0, isClient } = this.#init
    if (perClient === 0 || remoteAddress === undefined || isClient?.(remoteAddress) === false) return undefined
    return networkOf(remoteAddress)
  }

  #surplus(socket: Socket): Surplus | undefined {
    const { perClient = 0 } = this.#init
    const client = this.#clientOf(socket)
    if (client !== undefined && (this.#counts.get(client) ?? 0) > perClient) return 'ipfs.limits.client.connections'
    return this.#sockets.size > this.limit ? 'ipfs.limits.sockets' : undefined
  }

  /**
   * The connection requests arrive on: the socket itself, or the TLS socket over it.
   *
   * @param onLoopback - of the listener, when the connection is new
   */
  of(socket: Socket, onLoopback = false): Connection {
    const known = this.#connections.get(socket)
    if (known !== undefined) return known
    const connection = new Connection(socket, { surplus: this.#surplus(socket), onLoopback })
    this.#connections.set(socket, connection)
    socket.once('end', () => this.#halfClosed(socket, connection))
    socket.once('close', () => this.#connections.delete(socket))
    return connection
  }

  /** A hang-up and a client that merely has nothing more to say look the same until something is written. */
  #halfClosed(socket: Socket, connection: Connection): void {
    const timer = setTimeout(() => {
      if (connection.current?.response.headersSent !== true) socket.destroy()
    }, this.#init.halfClosedMs)
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
