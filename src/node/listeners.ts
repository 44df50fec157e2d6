import { access, constants, lstat, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { dirname } from 'node:path'
import { type Config, isLoopback, type ListenAddress, listenAddresses, readAddress } from '../config.ts'
import { errnoOf } from '../file-access.ts'
import { tcpAddress } from '../ipfs/tcp-address.ts'
import type { Identity } from '../node.ts'
import { type ListenKey, listening } from './listen-error.ts'

/** An address that a node listens on, and the key that says so. */
export interface Listener {
  key: ListenKey
  address: ListenAddress
}

/** Where the registry listens, as far as this machine has it. */
export function registryAddresses({ http }: Config): ListenAddress[] {
  const addresses = listenAddresses(http)
  return addresses.length < 2 ? addresses : addresses.filter(isPresent)
}

/**
 * The default is both loopbacks; a machine without IPv6 has only one of them. What somebody wrote on its own must work.
 */
function isPresent(address: ListenAddress): boolean {
  if (address.kind === 'unix' || address.host !== '::1') return true
  return Object.values(networkInterfaces()).some(list => list?.some(entry => entry.address === '::1'))
}

/** `http.debug.addr`. */
export function debugAddress({ http }: Config): { host?: string; port: number } | undefined {
  return tcpOnly(http.debug.addr)
}

/** `http.tls.letsencrypt.http`. */
export function challengeAddress({ http }: Config): { host?: string; port: number } | undefined {
  return tcpOnly(http.tls?.letsencrypt?.http)
}

function tcpOnly(text: string | undefined): { host?: string; port: number } | undefined {
  const address = text === undefined ? undefined : readAddress(text)
  if (address?.kind !== 'tcp') return undefined
  const { host, port } = address
  return { port, ...(host !== undefined && { host }) }
}

/** Reads one listener; `undefined` where the configuration has none there. */
type ReadListener = () => Listener | undefined

/**
 * Every listener of a configuration, in the order in which a start opens them. Each is read by a function of its own, since
 * one that is wrong says nothing of the others.
 */
export function listenersOf(config: Config): (() => readonly ReadListener[])[] {
  const one = (key: ListenKey, address: { host?: string; port: number } | undefined): Listener | undefined =>
    address === undefined ? undefined : { key, address: { kind: 'tcp', ...address } }
  return [
    () => [() => one('http.debug.addr', debugAddress(config))],
    () => [() => one('http.tls.letsencrypt.http', challengeAddress(config))],
    () => indexesOf(config.http.addr).map(index => () => registryListener(config, index)),
    () => {
      const listen = config.ipfs.listen ?? []
      return indexesOf(listen).map(index => () => one('ipfs.listen', tcpAddress(listen[index] ?? '')))
    }
  ]
}

function registryListener({ http }: Config, index: number): Listener | undefined {
  const address = readAddress(http.addr[index] ?? '', http.net)
  const present = address !== undefined && (http.addr.length === 1 || isPresent(address))
  return present ? { key: 'http.addr', address } : undefined
}

/** Without reading the entries. */
function indexesOf(list: readonly unknown[]): number[] {
  return Array.from({ length: list.length }, (_, index) => index)
}

/**
 * Listeners opened for a moment to see whether they can be, together, since one may be in the way of another. Unix sockets
 * are looked at only: opening one would make a file.
 */
export class TrialListeners {
  readonly #servers: Server[] = []
  readonly #isHeld: (address: ListenAddress) => boolean

  /** @param isHeld whether the node that the trial is for has that address already */
  constructor(isHeld: (address: ListenAddress) => boolean) {
    this.#isHeld = isHeld
  }

  /** @throws {ListenError} */
  async open({ key, address }: Listener): Promise<void> {
    try {
      await listening(key, () => (address.kind === 'unix' ? lookAtSocket(address.path) : this.#listen(address)))
    } catch (error) {
      const inUse = error instanceof Error && errnoOf(error.cause) === 'EADDRINUSE'
      if (!inUse || !this.#isHeld(address)) throw error
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map(server => new Promise(done => server.close(done))))
  }

  async #listen({ host, port }: { host?: string; port: number }): Promise<void> {
    const server = createServer(connection => connection.destroy())
    await new Promise<void>((done, refuse) => {
      server.once('error', refuse)
      server.listen({ port, ...(host !== undefined && { host }) }, done)
    })
    this.#servers.push(server)
  }
}

/** What binding a unix socket there would be refused with. */
async function lookAtSocket(path: string): Promise<void> {
  const refuse = (code: string) => {
    const message = `listen ${code}: ${path}`
    return Object.assign(new Error(message), { code, syscall: 'listen', address: path })
  }
  const folder = await stat(dirname(path)).catch((error: unknown) => {
    // What Node says when the folder is not there.
    throw refuse(errnoOf(error) === 'ENOENT' ? 'EACCES' : errnoOf(error))
  })
  if (!folder.isDirectory()) throw refuse('ENOTDIR')
  const there = await lstat(path).catch(() => undefined)
  if (there !== undefined) throw refuse('EADDRINUSE')
  await access(dirname(path), constants.W_OK | constants.X_OK).catch((error: unknown) => {
    throw refuse(errnoOf(error))
  })
}

/** What a running node has, each as {@link showAddress} writes it. */
export async function heldAddresses(config: Config, identity: () => Promise<Identity>): Promise<string[]> {
  const configured = listenersOf(config).flatMap(group => group().map(read => read()))
  // By default IPFS listens on any free port where the usual one is taken.
  const { listen, announce } = config.ipfs
  const chosen = listen === undefined && announce.length === 0 ? (await identity()).multiaddrs : []
  const others = chosen.map(tcpAddress).filter(address => address !== undefined)
  const all = configured.flatMap(listener => (listener === undefined ? [] : [listener.address]))
  return [...all, ...others.map(it => ({ kind: 'tcp' as const, ...it }))].map(showAddress)
}

/** Addresses as one text each, which {@link holdsAddress} reads. */
export function showAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const { host = '', port } = address
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Whether a node that listens on these has this address, or a part of it. */
export function holdsAddress(listeners: readonly string[], address: ListenAddress): boolean {
  if (address.kind === 'unix') return listeners.includes(showAddress(address))
  return listeners.some(text => {
    const held = readAddress(text)
    return held?.kind === 'tcp' && held.port === address.port && meet(held, address)
  })
}

function meet(a: ListenAddress, b: ListenAddress): boolean {
  if (a.kind === 'unix' || b.kind === 'unix') return false
  const [first, second] = [a.host?.toLowerCase(), b.host?.toLowerCase()]
  return isEverywhere(first) || isEverywhere(second) || first === second || (isLoopback(a) && isLoopback(b))
}

function isEverywhere(host: string | undefined): boolean {
  return host === undefined || host === '0.0.0.0' || host === '::'
}
