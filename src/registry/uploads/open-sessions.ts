/** Counts the sessions of this process' folder, so that opening one needs no scan. */
export class OpenSessions {
  readonly #ids = new Set<string>()

  get count(): number {
    return this.#ids.size
  }

  opened(id: string): void {
    this.#ids.add(id)
  }

  ended(id: string): void {
    this.#ids.delete(id)
  }
}
