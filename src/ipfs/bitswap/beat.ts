/** ms from a question to its refusal: some ten times what looking up one block takes. */
const length = 10

/**
 * When refusals go out: not when the look-up is done, whose time would tell private from absent, but at a beat that was set
 * going by the question.
 */
export class Beat {
  readonly #onBeat: () => void
  #timer: NodeJS.Timeout | undefined
  #count = 0

  constructor(onBeat: () => void) {
    this.#onBeat = onBeat
  }

  /** Beats there have been. What comes up now is due when there has been one more. */
  get count(): number {
    return this.#count
  }

  /** There will be a beat, with others if one is on its way. */
  start(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#count++
      this.#onBeat()
    }, length).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
