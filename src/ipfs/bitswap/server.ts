import type { Connection, Libp2p, PeerId, Stream, StreamHandler } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import type { CID } from 'multiformats/cid'
import type { Log } from '../../registry/ports.ts'
import type { Blocks } from './blocks.ts'
import { FrameReader } from './frames.ts'
import { decodeWantlist } from './message.ts'
import { protocol, Session } from './session.ts'

/** Bytes of the longest message taken, the limit of Kubo and Helia. */
const maxMessage = 4 * 1024 * 1024

export interface BitswapServerComponents {
  libp2p: Libp2p
  registrar: Registrar
  blocks: Blocks
  log: Log
}

/**
 * The serving half of bitswap 1.2.0. Helia's own loads every block that a peer has asked for before it sends the first
 * (20 blobs wanted at once: 840 MB, the loop standing still for 1.3 s), or with a small `maxWantListSize` forgets wants
 * until the peer repeats them half a minute later; it reads a block to say that it is here; and a block deleted between
 * two of its steps makes it search the network.
 */
export class BitswapServer {
  readonly #components: BitswapServerComponents
  readonly #sessions = new Map<string, Session>()

  constructor(components: BitswapServerComponents) {
    this.#components = components
  }

  /**
   * Takes wantlists from every incoming stream. The handler that was there, Helia's, gets the same bytes: blocks that
   * this node asked for are its business.
   */
  async start(): Promise<void> {
    const { libp2p, registrar } = this.#components
    const { handler, options } = registrar.getHandler(protocol)
    await registrar.handle(protocol, this.#beside(handler), { ...options, force: true })
    libp2p.addEventListener('peer:disconnect', this.#onDisconnect)
  }

  stop(): void {
    this.#components.libp2p.removeEventListener('peer:disconnect', this.#onDisconnect)
    for (const session of this.#sessions.values()) session.close()
    this.#sessions.clear()
  }

  /** Blocks have come to this node that peers may be waiting for. */
  announce(cid: CID): void {
    for (const session of this.#sessions.values()) session.announce(cid)
  }

  readonly #onDisconnect = ({ detail: peer }: CustomEvent<PeerId>): void => {
    this.#sessions.get(peer.toString())?.close()
    this.#sessions.delete(peer.toString())
  }

  #beside(handler: StreamHandler): StreamHandler {
    return async (stream, connection) => {
      // Held until both listen, or the first message would reach one of them only.
      stream.pause()
      const handled = handler(stream, connection)
      for (let turn = 0; turn < 100 && stream.status === 'open' && stream.listenerCount('message') === 0; turn++) {
        await new Promise(setImmediate)
      }
      if (stream.status !== 'open' || connection.status !== 'open') return
      this.#receive(stream, connection)
      stream.resume()
      await handled
    }
  }

  #receive(stream: Stream, connection: Connection): void {
    const frames = new FrameReader(maxMessage)
    stream.addEventListener('message', ({ data }) => {
      try {
        for (const message of frames.push(data.subarray())) {
          const wantlist = decodeWantlist(message)
          if (wantlist.full || wantlist.entries.length > 0) this.#session(connection).update(wantlist)
        }
      } catch (cause) {
        stream.abort(cause instanceof Error ? cause : new Error(String(cause)))
      }
    })
  }

  #session({ remotePeer }: Connection): Session {
    const key = remotePeer.toString()
    const known = this.#sessions.get(key)
    if (known !== undefined) return known
    const { libp2p, blocks, log } = this.#components
    const session = new Session(remotePeer, { blocks, log, connections: peer => libp2p.getConnections(peer) })
    this.#sessions.set(key, session)
    return session
  }
}
