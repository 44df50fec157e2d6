import type { Presence } from './message.ts'
import type { Want } from './wants.ts'

/** Presences in one message at most, about 40 KiB. */
const maxPresences = 1024

interface Waiting {
  want: Want
  have: boolean
  /** Beats after which it may be told. */
  beat: number
}

/** What a peer will be told of blocks that are not sent. */
export class Told {
  #waiting: Waiting[] = []

  /** Enough for a message. */
  get full(): boolean {
    return this.#waiting.length >= maxPresences
  }

  isDue(beat: number): boolean {
    return this.#waiting.some(one => one.beat <= beat)
  }

  add(want: Want, have: boolean, beat: number): void {
    this.#waiting.push({ want, have, beat })
  }

  /** What may be told in one message when there have been so many beats. */
  take(beat: number): Waiting[] {
    const due: Waiting[] = []
    const rest: Waiting[] = []
    for (const one of this.#waiting) (one.beat <= beat && due.length < maxPresences ? due : rest).push(one)
    this.#waiting = rest
    return due
  }

  clear(): void {
    this.#waiting = []
  }
}

export function presencesOf(told: readonly Waiting[]): Presence[] {
  return told.map(({ want, have }) => ({ cid: want.cid, have }))
}
