import { CID } from 'multiformats/cid'
import type { Wantlist } from './message.ts'

/** A block that a peer asked for. */
export interface Want {
  cid: CID
  presenceOnly: boolean
  sendDontHave: boolean
}

/** Wants kept that are still to be answered, and that could not be met: of one peer, of all, and of one of however many. */
const pendingLimits = { most: 4096, all: 65_536, least: 256 }
const unmetLimits = { most: 1024, all: 32_768, least: 64 }

function limit({ most, all, least }: typeof pendingLimits, peers: number): number {
  return Math.min(most, Math.max(least, Math.floor(all / peers)))
}

/** A want as it is kept: the CID's bytes in a string take a fifth of the memory of a `CID`, and peers may fill it. */
interface Kept {
  cid: string
  presenceOnly: boolean
  sendDontHave: boolean
}

function keyOf({ multihash }: CID): string {
  return textOf(multihash.bytes)
}

function textOf({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1')
}

function kept({ cid, presenceOnly, sendDontHave }: Want): Kept {
  return { cid: textOf(cid.bytes), presenceOnly, sendDontHave }
}

function wanted({ cid, ...flags }: Kept): Want {
  return { cid: CID.decode(Buffer.from(cid, 'latin1')), ...flags }
}

/**
 * What one peer wants: pending until it is answered, in the order it was asked for; then forgotten, or, if the block is
 * not here, kept for the day it comes. Nothing that was asked is dropped for a later want: a peer asks again only after
 * half a minute.
 */
export class Wants {
  readonly #pending = new Map<string, Kept>()
  readonly #unmet = new Map<string, Kept>()
  readonly #peers: () => number

  /** @param peers How many peers want something now: with many, each may want less. */
  constructor(peers: () => number = () => 1) {
    this.#peers = peers
  }

  get size(): number {
    return this.#pending.size
  }

  update({ full, entries }: Wantlist): void {
    if (full) {
      this.#pending.clear()
      this.#unmet.clear()
    }
    const maxPending = limit(pendingLimits, this.#peers())
    for (const { cid, cancel, presenceOnly, sendDontHave } of entries) {
      const key = keyOf(cid)
      this.#unmet.delete(key)
      if (cancel) {
        this.#pending.delete(key)
      } else if (this.#pending.has(key) || this.#pending.size < maxPending) {
        // A block that was asked for stays asked for when its presence is asked after it.
        const whole = this.#pending.get(key)?.presenceOnly === false
        this.#pending.set(key, kept({ cid, presenceOnly: presenceOnly && !whole, sendDontHave }))
      }
    }
  }

  /** The next want to answer, no longer pending. */
  take(): Want | undefined {
    for (const [key, want] of this.#pending) {
      this.#pending.delete(key)
      return wanted(want)
    }
    return undefined
  }

  /** The answer did not get out. */
  putBack(want: Want): void {
    const key = keyOf(want.cid)
    if (!this.#pending.has(key)) this.#pending.set(key, kept(want))
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
    this.#unmet.set(key, kept(want))
    const maxUnmet = limit(unmetLimits, this.#peers())
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
