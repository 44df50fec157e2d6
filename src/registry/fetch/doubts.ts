import type { Clock } from '../ports.ts'

/** ms after which a source is asked again. */
const lifetime = 10 * 60 * 1000
/** Blobs remembered; the oldest go first. */
const capacity = 1_000

interface Doubt {
  until: number
  sources: Set<string>
  alone: boolean
}

/**
 * What went wrong with a blob a while ago: sources that sent other bytes, so that the retry of a client that was cut asks
 * somebody else; and blobs that several sources together got wrong, which are then taken from one source at a time, so
 * that the liar is found.
 */
export class Doubts {
  readonly #clock: Clock
  readonly #doubts = new Map<string, Doubt>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  exclude(blob: string, source: string): void {
    const doubt = this.#add(blob)
    doubt.sources.add(source)
    doubt.alone = false
  }

  excludes(blob: string, source: string): boolean {
    return this.#get(blob)?.sources.has(source) === true
  }

  takeAlone(blob: string): void {
    this.#add(blob).alone = true
  }

  isTakenAlone(blob: string): boolean {
    return this.#get(blob)?.alone === true
  }

  #get(blob: string): Doubt | undefined {
    const doubt = this.#doubts.get(blob)
    if (doubt === undefined || doubt.until > this.#clock.now()) return doubt
    this.#doubts.delete(blob)
    return undefined
  }

  #add(blob: string): Doubt {
    const doubt = this.#get(blob) ?? { until: 0, sources: new Set<string>(), alone: false }
    doubt.until = this.#clock.now() + lifetime
    this.#doubts.delete(blob)
    this.#doubts.set(blob, doubt)
    if (this.#doubts.size > capacity) {
      for (const oldest of this.#doubts.keys()) {
        this.#doubts.delete(oldest)
        break
      }
    }
    return doubt
  }
}
