import {
  type Connection,
  type Libp2p,
  type PeerId,
  type Stream,
  type StreamHandler,
  StreamMessageEvent
} from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import type { CID } from 'multiformats/cid'
import type { Log } from '../../registry/ports.ts'
import type { Blocks } from './blocks.ts'
import { FrameReader } from './frames.ts'
import { decodeMessage } from './message.ts'
import { PartialMessages } from './partial-messages.ts'
import { Places } from './places.ts'
import { protocol, Session } from './session.ts'

/** Bytes of the longest message taken, the limit of Kubo and Helia. */
const maxMessage = 4 * 1024 * 1024
/** Streams that one connection may have open. Kubo and Helia open one for a message; Helia takes 1024. */
const maxInboundStreams = 128

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
  readonly #partial = new PartialMessages()
  readonly #places = new Places()

  constructor(components: BitswapServerComponents) {
    this.#components = components
  }

  /**
   * Reads every incoming stream. The handler that was there, Helia's, gets the blocks and presences, which this node may
   * have asked for, and never a wantlist: one with an entry that is no CID it keeps whatever its limit, and then loads all
   * of it at once.
   */
  async start(): Promise<void> {
    const { libp2p, registrar } = this.#components
    const { handler, options } = registrar.getHandler(protocol)
    await registrar.handle(protocol, this.#beside(handler), { ...options, maxInboundStreams, force: true })
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
      // Held until both listen, or the first message would not reach Helia.
      stream.pause()
      this.#receive(stream, connection)
      const handled = handler(stream, connection)
      for (let turn = 0; turn < 100 && stream.status === 'open' && stream.listenerCount('message') < 2; turn++) {
        await new Promise(setImmediate)
      }
      if (stream.status !== 'open' || connection.status !== 'open') return
      stream.resume()
      await handled
    }
  }

  /** Listens before Helia does, so that nothing gets there but what is dispatched here. */
  #receive(stream: Stream, connection: Connection): void {
    const frames = new FrameReader(maxMessage)
    const peer = connection.remotePeer.toString()
    const answers = new WeakSet<Event>()
    stream.addEventListener('message', event => {
      if (answers.has(event)) return
      event.stopImmediatePropagation()
      try {
        for (const message of frames.push(event.data.subarray())) {
          const answer = this.#take(message, connection)
          if (answer === undefined) continue
          answers.add(answer)
          stream.dispatchEvent(answer)
        }
        if (stream.status === 'open') this.#partial.hold(stream, peer, frames.buffered)
      } catch (cause) {
        stream.abort(cause instanceof Error ? cause : new Error(String(cause)))
      }
    })
    stream.addEventListener('close', () => this.#partial.hold(stream, peer, 0))
  }

  /** What of a message is for Helia. */
  #take(message: Uint8Array, connection: Connection): StreamMessageEvent | undefined {
    const { wantlist, answers } = decodeMessage(message)
    if (wantlist.full || wantlist.entries.length > 0) this.#session(connection).update(wantlist)
    return answers === undefined ? undefined : new StreamMessageEvent(answers)
  }

  #session({ remotePeer }: Connection): Session {
    const key = remotePeer.toString()
    const known = this.#sessions.get(key)
    if (known !== undefined) return known
    const { libp2p, blocks, log } = this.#components
    const session = new Session(remotePeer, {
      blocks,
      places: this.#places,
      connections: peer => libp2p.getConnections(peer),
      peers: () => this.#sessions.size,
      log
    })
    this.#sessions.set(key, session)
    return session
  }
}
