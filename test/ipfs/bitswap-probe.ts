import { identify } from '@libp2p/identify'
import type { Libp2p, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { onTestFinished } from 'vitest'
import { FrameReader } from '../../src/ipfs/bitswap/frames.ts'
import { bytesHeader, fieldsOf, varint, varintField } from '../../src/ipfs/protobuf.ts'

export const bitswap = '/ipfs/bitswap/1.2.0'

/** What a peer asks for, field by field. */
export interface Ask {
  cid: CID
  presenceOnly?: boolean
  sendDontHave?: boolean
  cancel?: boolean
}

/** An answer: a block's bytes, or whether there is one. */
export type Told = { block: Buffer } | { cid: string; have: boolean }

/** A length-prefixed bitswap message with a wantlist, written by hand. */
export function wantlistMessage(asks: readonly Ask[], full = false): Uint8Array {
  const entries = asks.flatMap(({ cid, presenceOnly = false, sendDontHave = true, cancel = false }) => {
    const entry = [
      ...bytesHeader(1, cid.bytes.byteLength),
      ...cid.bytes,
      ...varintField(2, 1),
      ...varintField(3, cancel ? 1 : 0),
      ...varintField(4, presenceOnly ? 1 : 0),
      ...varintField(5, sendDontHave ? 1 : 0)
    ]
    return [...bytesHeader(1, entry.length), ...entry]
  })
  const wantlist = [...entries, ...varintField(2, full ? 1 : 0)]
  const message = [...bytesHeader(1, wantlist.length), ...wantlist]
  return Uint8Array.from([...varint(message.length), ...message])
}

function answersIn(message: Uint8Array): Told[] {
  const told: Told[] = []
  for (const { number, value } of fieldsOf(message)) {
    if (typeof value === 'number') continue
    if (number === 3) {
      for (const field of fieldsOf(value)) {
        if (field.number === 2 && typeof field.value !== 'number') told.push({ block: Buffer.from(field.value) })
      }
    }
    if (number === 4) {
      const [cid, type] = [...fieldsOf(value)]
      if (cid !== undefined && typeof cid.value !== 'number') {
        told.push({ cid: CID.decode(cid.value.slice()).toString(), have: type?.value !== 1 })
      }
    }
  }
  return told
}

/** A peer that speaks bitswap byte by byte, so that a test sees what a server really sends. */
export class BitswapProbe {
  readonly told: Told[] = []
  /** Bytes of every message that came. */
  readonly sizes: number[] = []
  readonly libp2p: Libp2p
  #waiting: { count: number; resolve: () => void } | undefined
  #incoming: Stream | undefined
  #asking: Stream | undefined
  #hold = false
  #breaks = 0

  constructor(libp2p: Libp2p) {
    this.libp2p = libp2p
  }

  static async connect(address: string): Promise<BitswapProbe> {
    const libp2p = await createLibp2p({
      transports: [tcp()],
      connectionEncrypters: [tls()],
      streamMuxers: [yamux()],
      services: { identify: identify() }
    })
    const probe = new BitswapProbe(libp2p)
    onTestFinished(async () => await libp2p.stop())
    // More than a decent peer has open at once.
    await libp2p.handle(bitswap, stream => probe.#listen(stream), { maxOutboundStreams: 1000 })
    await libp2p.dial(multiaddr(address))
    return probe
  }

  /** Sends bytes on a stream of their own. */
  async send(bytes: Uint8Array): Promise<Stream> {
    const [connection] = this.libp2p.getConnections()
    if (connection === undefined) throw new Error('not connected')
    const stream = await connection.newStream(bitswap)
    if (!stream.send(bytes)) await stream.onDrain()
    return stream
  }

  /** Asks, always on the same stream, and gives what was told, `count` answers of it. */
  async ask(asks: readonly Ask[], count = asks.length, full = false): Promise<Told[]> {
    const start = this.told.length
    const message = wantlistMessage(asks, full)
    if (this.#asking?.status !== 'open') this.#asking = await this.send(message)
    else if (!this.#asking.send(message)) await this.#asking.onDrain()
    await this.until(start + count)
    return this.told.slice(start)
  }

  /** Waits for that many answers since the start. */
  async until(count: number): Promise<void> {
    if (this.told.length >= count) return
    await new Promise<void>(resolve => {
      this.#waiting = { count, resolve }
    })
  }

  /** Whether the node has a stream open to this peer. */
  get listening(): boolean {
    return this.#incoming?.remoteWriteStatus === 'writable'
  }

  /** Stops reading what is sent to it. */
  hold(): void {
    this.#hold = true
    this.#incoming?.pause()
  }

  release(): void {
    this.#hold = false
    this.#incoming?.resume()
  }

  /** Resets so many of the next streams as soon as something comes. */
  breakStreams(count: number): void {
    this.#breaks = count
  }

  #listen(stream: Stream): void {
    if (this.#breaks > 0) {
      this.#breaks--
      stream.addEventListener('message', () => stream.abort(new Error('broken')), { once: true })
      return
    }
    this.#incoming = stream
    const frames = new FrameReader(4 * 1024 * 1024)
    stream.addEventListener('message', ({ data }) => {
      for (const message of frames.push(data.subarray())) {
        this.sizes.push(message.byteLength)
        this.told.push(...answersIn(message))
      }
      if (this.#waiting !== undefined && this.told.length >= this.#waiting.count) this.#waiting.resolve()
    })
    if (this.#hold) stream.pause()
  }
}
