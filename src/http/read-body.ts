import { type Reason, RegistryError } from '../errors.ts'
import { ClientGone, type Exchange } from './exchange.ts'

export interface ReadBodyInit {
  /** ms without a byte while one is wanted. */
  stallMs: number
  /** Thrown then. */
  stalled: Reason
  /** A chunk is valid until the next is asked for: for bodies that nobody keeps. Default false. */
  lend?: boolean
}

/** Bytes held before the socket is paused, and before it is read again. */
const highWater = 1024 * 1024
const lowWater = 256 * 1024

interface Waiter {
  resolve(step: IteratorResult<Uint8Array>): void
  reject(error: Error): void
}

/**
 * A request's body, once, with backpressure: the socket is read ahead by at most 1 MiB. Asking for the first byte admits
 * the body of a client that sent `Expect: 100-continue`. Ending the iteration early leaves the rest on the socket.
 *
 * Throws {@link ClientGone} when the client hangs up and the `stalled` reason when it goes silent; the time the consumer
 * takes does not count.
 */
export class RequestBody implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array, undefined> {
  readonly #exchange: Exchange
  readonly #init: ReadBodyInit
  readonly #chunks: Uint8Array[] = []
  #lent: Uint8Array | undefined
  #held = 0
  #started = false
  #ended = false
  #error: Error | undefined
  #waiter: Waiter | undefined
  #timer: NodeJS.Timeout | undefined
  /** Since when there is a waiter, by `performance.now()`. */
  #waitingSince = 0

  constructor(exchange: Exchange, init: ReadBodyInit) {
    this.#exchange = exchange
    this.#init = init
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (!this.#started) this.#start()
    this.#takeBack()
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) {
      if (this.#init.lend === true) this.#lent = chunk
      this.#held -= chunk.byteLength
      const { request } = this.#exchange
      if (this.#held < lowWater && request.isPaused() && !this.#ended) request.resume()
      return Promise.resolve({ done: false, value: chunk })
    }
    if (this.#error !== undefined) return Promise.reject(this.#error)
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
      this.#waitingSince = performance.now()
      if (this.#timer === undefined) this.#timer = setTimeout(this.#stalled, this.#init.stallMs)
      else this.#timer.refresh()
    })
  }

  /** ms that a byte has been waited for; 0 while what came is being worked on. */
  silentFor(): number {
    return this.#waiter === undefined ? 0 : performance.now() - this.#waitingSince
  }

  /** Ends the body where a byte is waited for, as if it had stalled. */
  giveUp(): void {
    if (this.#waiter === undefined) return
    const seconds = Math.round(this.silentFor() / 1000)
    this.#stall(`no byte came for ${seconds} s, and another request for the same upload did: that one goes on`)
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#stop()
    this.#ended = true
    this.#chunks.length = 0
    return Promise.resolve({ done: true, value: undefined })
  }

  /**
   * Frees the memory of the chunk that was lent. Left to the garbage collector, it makes that mark the whole heap once for
   * every 30 MB of body: half of the processor time of a large push.
   */
  #takeBack(): void {
    const chunk = this.#lent
    this.#lent = undefined
    if (chunk?.buffer instanceof ArrayBuffer && chunk.byteLength === chunk.buffer.byteLength) chunk.buffer.transfer(0)
  }

  #start(): void {
    this.#started = true
    const { request } = this.#exchange
    if (request.readableEnded) {
      this.#ended = true
      return
    }
    if (request.destroyed) {
      this.#fail(new ClientGone('client hung up'))
      return
    }
    this.#exchange.admitBody()
    request.on('data', this.#take).on('end', this.#end).on('close', this.#cut).on('error', this.#cut)
  }

  #stop(): void {
    clearTimeout(this.#timer)
    if (!this.#started) return
    const { request } = this.#exchange
    request.off('data', this.#take).off('end', this.#end).off('close', this.#cut).off('error', this.#cut)
    if (!request.readableEnded) request.pause()
  }

  readonly #take = (chunk: Uint8Array): void => {
    this.#exchange.received += chunk.byteLength
    const waiter = this.#waiter
    if (waiter !== undefined) {
      this.#waiter = undefined
      if (this.#init.lend === true) this.#lent = chunk
      waiter.resolve({ done: false, value: chunk })
      return
    }
    this.#chunks.push(chunk)
    this.#held += chunk.byteLength
    if (this.#held >= highWater) this.#exchange.request.pause()
  }

  readonly #end = (): void => {
    this.#stop()
    this.#ended = true
    this.#waiter?.resolve({ done: true, value: undefined })
    this.#waiter = undefined
  }

  readonly #cut = (): void => this.#fail(new ClientGone('client hung up before the end of its body'))

  readonly #stalled = (): void => {
    if (this.#waiter === undefined) return
    this.#stall(`request body stalled: no byte for ${Math.round(this.#init.stallMs / 1000)} s`)
  }

  #stall(message: string): void {
    this.#exchange.closeConnection()
    this.#fail(new RegistryError(this.#init.stalled, { message }))
  }

  #fail(error: Error): void {
    this.#stop()
    this.#error = error
    this.#waiter?.reject(error)
    this.#waiter = undefined
  }
}
