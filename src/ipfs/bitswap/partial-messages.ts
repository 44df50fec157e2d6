/** What is kept of messages that have not come whole, in bytes: of one peer, and of all together. */
const maxOfPeer = 16 * 1024 * 1024
const maxOfAll = 64 * 1024 * 1024

/** A stream that bytes come from. */
export interface Sender {
  abort(error: Error): void
}

interface Held {
  peer: string
  bytes: number
}

/**
 * Bounds the memory of messages that peers have begun. Every stream may begin one of 4 MiB, a connection has many streams
 * and a node many connections: who begins and never ends has streams reset.
 */
export class PartialMessages {
  readonly #streams = new Map<Sender, Held>()
  readonly #peers = new Map<string, number>()
  #all = 0

  /** The stream now holds so many bytes; 0 when it is closed. Aborts streams, maybe this one, when that is too much. */
  hold(stream: Sender, peer: string, bytes: number): void {
    const before = this.#streams.get(stream)?.bytes ?? 0
    if (before === bytes) return
    if (bytes === 0) this.#streams.delete(stream)
    else this.#streams.set(stream, { peer, bytes })
    const ofPeer = (this.#peers.get(peer) ?? 0) + bytes - before
    if (ofPeer === 0) this.#peers.delete(peer)
    else this.#peers.set(peer, ofPeer)
    this.#all += bytes - before
    if (ofPeer > maxOfPeer) this.#abort(stream)
    else if (this.#all > maxOfAll) this.#abortLargest()
  }

  /** Of the peer that holds most, so that one with many streams pays and not who came last. */
  #abortLargest(): void {
    const [largest] = [...this.#peers].reduce((most, next) => (next[1] > most[1] ? next : most))
    for (const [stream, { peer }] of [...this.#streams]) if (peer === largest) this.#abort(stream)
  }

  #abort(stream: Sender): void {
    const held = this.#streams.get(stream)
    if (held === undefined) return
    this.hold(stream, held.peer, 0)
    stream.abort(new RangeError('too many bitswap messages begun and not ended'))
  }
}
