import type { Connection, PeerId, Stream } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Log } from '../../registry/ports.ts'
import { Beat } from './beat.ts'
import type { Blocks } from './blocks.ts'
import { drained } from './drained.ts'
import { encodeMessage, type Wantlist } from './message.ts'
import type { Holder, Places } from './places.ts'
import { presencesOf, Told } from './told.ts'
import { type Want, Wants } from './wants.ts'

export const protocol = '/ipfs/bitswap/1.2.0'

/** Bytes up to which a block is sent where only its presence was asked, as Kubo does. */
const smallBlock = 1024
/** ms one block may take on its way out. A peer slower than 1 MiB in 5 minutes is given up. */
const sendTimeout = 5 * 60_000
/** ms to open a stream. */
const openTimeout = 30_000
/** Streams that may break in a row before a peer is given up. */
const maxFailures = 3
/** ms an unused stream to a peer is kept open. */
const idleTimeout = 10_000
/** ms after which a block that waits to be sent is looked up again: its image may have become private meanwhile. */
const freshness = 1_000

export interface SessionComponents {
  blocks: Blocks
  /** Shared with the sessions of other peers. */
  places: Places
  connections(peer: PeerId): Connection[]
  /** How many peers are served, this one too. */
  peers(): number
  log: Log
}

/** `bytes` have a place in {@link Places} until they are sent. */
type Answer = { bytes: Uint8Array; at: number } | { have: boolean }

interface Ahead {
  want: Want
  answer: Promise<Answer | undefined>
}

/** Serving one peer: reads two blocks ahead, sends them in order, one message a block, on one stream. */
export class Session implements Holder {
  readonly #peer: PeerId
  readonly #components: SessionComponents
  readonly #wants: Wants
  readonly #told = new Told()
  readonly #beat = new Beat(() => this.#start())
  readonly #closing = new AbortController()
  #running = false
  #failures = 0
  #stream: Stream | undefined
  /** Runs from the last message sent. What was looked up and not told leaves no trace in when the stream is closed. */
  #idle: NodeJS.Timeout | undefined

  constructor(peer: PeerId, components: SessionComponents) {
    this.#peer = peer
    this.#components = components
    this.#wants = new Wants(components.peers)
  }

  update(wantlist: Wantlist): void {
    this.#wants.update(wantlist)
    this.#beat.start()
    this.#start()
  }

  /** The block has come to this node. */
  announce(cid: CID): void {
    if (this.#wants.met(cid)) this.#start()
  }

  giveWay(): void {
    this.#failures = maxFailures
    this.#stream?.abort(new Error('the peer reads too slowly, and others wait'))
  }

  close(): void {
    this.#closing.abort()
    this.#beat.stop()
    clearTimeout(this.#idle)
    this.#wants.clear()
    this.#stream?.abort(new Error('the peer is gone'))
  }

  #start(): void {
    if (this.#running || this.#closing.signal.aborted) return
    this.#running = true
    this.#run()
      .catch((error: unknown) => this.#giveUp(error))
      .finally(() => {
        this.#running = false
        if (this.#wants.size > 0 || this.#told.isDue(this.#beat.count)) this.#start()
      })
  }

  async #run(): Promise<void> {
    const ahead: Ahead[] = []
    try {
      await this.#answerAll(ahead)
    } finally {
      for (const { answer } of ahead) void answer.then(unsent => this.#release(unsent))
    }
  }

  async #answerAll(ahead: Ahead[]): Promise<void> {
    for (;;) {
      while (ahead.length < this.#components.places.depth && this.#wants.size > 0) this.#readAhead(ahead)
      const [next] = ahead
      if (next === undefined) break
      const answer = await this.#fresh(next)
      if (answer !== undefined && 'have' in answer) this.#tell(next.want, answer.have)
      const block = answer !== undefined && 'bytes' in answer ? { cid: next.want.cid, bytes: answer.bytes } : undefined
      if (block !== undefined || this.#told.full) await this.#sendOut(ahead, block)
      ahead.shift()
      this.#release(answer)
    }
    await this.#sendOut(ahead)
  }

  /** That it is here is told with the next message; that it is not, with the first one after the next beat. */
  #tell(want: Want, have: boolean): void {
    this.#told.add(want, have, have ? this.#beat.count : this.#beat.count + 1)
    if (!have) this.#beat.start()
  }

  async #sendOut(ahead: readonly Ahead[], block?: { cid: CID; bytes: Uint8Array }): Promise<void> {
    const told = this.#told.take(this.#beat.count)
    if (told.length === 0 && block === undefined) return
    await this.#sendOr(() => [...told, ...ahead].map(({ want }) => want), encodeMessage(presencesOf(told), block))
  }

  #readAhead(ahead: Ahead[]): void {
    const want = this.#wants.take()
    if (want !== undefined) ahead.push({ want, answer: this.#answer(want) })
  }

  /** Never rejects: a block that cannot be read is one that this peer has to look for elsewhere. */
  async #answer(want: Want): Promise<Answer | undefined> {
    const options = { signal: this.#closing.signal }
    try {
      const found = want.presenceOnly ? await this.#components.blocks.find(want.cid, options) : undefined
      if (want.presenceOnly && found === undefined) return this.#unmet(want)
      const answer =
        found !== undefined && found.length > smallBlock ? { have: true } : await this.#read(want.cid, options)
      this.#wants.answered(want)
      return answer
    } catch (error) {
      if (options.signal.aborted) return undefined
      if (error instanceof Error && error.name === 'NotFoundError') return this.#unmet(want)
      this.#components.log.error({ err: error, cid: want.cid.toString() }, 'cannot read a block a peer asked for')
      return want.sendDontHave ? { have: false } : undefined
    }
  }

  async #read(cid: CID, options: { signal: AbortSignal }): Promise<Answer> {
    const { places, blocks } = this.#components
    await places.take(this, options.signal)
    try {
      return { bytes: await blocks.read(cid, options), at: performance.now() }
    } catch (error) {
      places.release(this)
      throw error
    }
  }

  #release(answer: Answer | undefined): void {
    if (answer !== undefined && 'bytes' in answer) this.#components.places.release(this)
  }

  /** A block that a slow peer kept waiting is sent only if everyone may still have it. */
  async #fresh(ahead: Ahead): Promise<Answer | undefined> {
    const answer = await ahead.answer
    if (answer === undefined || !('bytes' in answer) || performance.now() - answer.at < freshness) return answer
    const options = { signal: this.#closing.signal }
    const found = await this.#components.blocks.find(ahead.want.cid, options).catch(() => undefined)
    if (found !== undefined) return answer
    ahead.answer = this.#answer(ahead.want)
    this.#release(answer)
    return ahead.answer
  }

  #unmet(want: Want): Answer | undefined {
    this.#wants.keepUnmet(want)
    return want.sendDontHave ? { have: false } : undefined
  }

  /** A stream that breaks is replaced: the peer would ask again only after half a minute. */
  async #sendOr(unsent: () => Want[], parts: readonly Uint8Array[]): Promise<void> {
    try {
      await this.#send(parts)
      this.#failures = 0
    } catch (error) {
      if (++this.#failures < maxFailures) for (const want of unsent()) this.#wants.putBack(want)
      throw error
    }
  }

  async #send(parts: readonly Uint8Array[]): Promise<void> {
    clearTimeout(this.#idle)
    const stream = await this.#open()
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(sendTimeout)])
    for (const part of parts) stream.send(part)
    await drained(stream, signal)
    this.#idle = setTimeout(() => this.#closeStream(), idleTimeout).unref()
  }

  async #open(): Promise<Stream> {
    if (this.#stream?.writeStatus === 'writable') return this.#stream
    const connection = this.#components.connections(this.#peer).find(({ status }) => status === 'open')
    if (connection === undefined) throw new Error('the peer is gone')
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(openTimeout)])
    this.#stream = await connection.newStream(protocol, { signal })
    await this.#stream.closeRead({ signal })
    return this.#stream
  }

  #closeStream(): void {
    const stream = this.#stream
    this.#stream = undefined
    stream?.close({ signal: AbortSignal.timeout(openTimeout) }).catch((error: Error) => stream.abort(error))
  }

  /** Whatever a peer that was given up wanted it will ask for again, if it is still there. */
  #giveUp(cause: unknown): void {
    if (this.#failures >= maxFailures) {
      this.#wants.clear()
      this.#told.clear()
      this.#failures = 0
    }
    this.#stream?.abort(cause instanceof Error ? cause : new Error(String(cause)))
    this.#stream = undefined
    if (!this.#closing.signal.aborted) {
      this.#components.log.debug({ err: cause, peer: this.#peer.toString() }, 'cannot send blocks to a peer')
    }
  }
}
