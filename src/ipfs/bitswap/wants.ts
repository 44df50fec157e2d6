import type { CID } from 'multiformats/cid'
import type { Wantlist } from './message.ts'

/** A block that a peer asked for. */
export interface Want {
  cid: CID
  presenceOnly: boolean
  sendDontHave: boolean
}

/** Wants kept of one peer that are still to be answered, and that could not be met. */
const maxPending = 4096
const maxUnmet = 1024

function keyOf(cid: CID): string {
  return Buffer.from(cid.multihash.bytes).toString('latin1')
}

/**
 * What one peer wants: pending until it is answered, in the order it was asked for; then forgotten, or, if the block is
 * not here, kept for the day it comes. Nothing that was asked is dropped for a later want: a peer asks again only after
 * half a minute.
 */
export class Wants {
  readonly #pending = new Map<string, Want>()
  readonly #unmet = new Map<string, Want>()

  get size(): number {
    return this.#pending.size
  }

  update({ full, entries }: Wantlist): void {
    if (full) {
      this.#pending.clear()
      this.#unmet.clear()
    }
    for (const { cid, cancel, presenceOnly, sendDontHave } of entries) {
      const key = keyOf(cid)
      this.#unmet.delete(key)
      if (cancel) {
        this.#pending.delete(key)
      } else if (this.#pending.has(key) || this.#pending.size < maxPending) {
        // A block that was asked for stays asked for when its presence is asked after it.
        const whole = this.#pending.get(key)?.presenceOnly === false
        this.#pending.set(key, { cid, presenceOnly: presenceOnly && !whole, sendDontHave })
      }
    }
  }

  /** The next want to answer, no longer pending. */
  take(): Want | undefined {
    for (const [key, want] of this.#pending) {
      this.#pending.delete(key)
      return want
    }
    return undefined
  }

  /** The answer did not get out. */
  putBack(want: Want): void {
    const key = keyOf(want.cid)
    if (!this.#pending.has(key)) this.#pending.set(key, want)
  }

  /** The block of a want is here. */
  answered(want: Want): void {
    this.#unmet.delete(keyOf(want.cid))
  }

  /**
   * The block of a want is not here: the oldest such want goes when there are too many. One that was kept keeps its age:
   * which one goes must not depend on a private block that came.
   */
  keepUnmet(want: Want): void {
    const key = keyOf(want.cid)
    if (this.#pending.has(key) || this.#unmet.has(key)) return
    this.#unmet.set(key, want)
    for (const oldest of this.#unmet.keys()) {
      if (this.#unmet.size <= maxUnmet) break
      this.#unmet.delete(oldest)
    }
  }

  /** The block has come; whether it was waited for. */
  met(cid: CID): boolean {
    const key = keyOf(cid)
    const want = this.#unmet.get(key)
    if (want === undefined) return false
    // The peer was told once that it is not here. Told again, it would know that just now a private one came.
    this.#pending.set(key, { ...want, sendDontHave: false })
    return true
  }

  clear(): void {
    this.#pending.clear()
    this.#unmet.clear()
  }
}
