/** The sessions of this process' folder, by repository, so that opening one needs no scan. */
export class OpenSessions {
  /** Repositories by session, the one that rests longest first. */
  readonly #repositories = new Map<string, string>()
  /** Sessions of a repository, the one that rests longest first, each with when it was used last, ms since epoch. */
  readonly #used = new Map<string, Map<string, number>>()
  /** Bytes that a 202 confirmed, by session, where there are any. */
  readonly #confirmed = new Map<string, number>()

  get count(): number {
    return this.#repositories.size
  }

  countOf(repository: string): number {
    return this.#used.get(repository)?.size ?? 0
  }

  opened(id: string, repository: string, at: number): void {
    this.#repositories.delete(id)
    this.#repositories.set(id, repository)
    const used = this.#used.get(repository) ?? new Map<string, number>()
    this.#used.set(repository, used.set(id, at))
  }

  used(id: string, at: number): void {
    const repository = this.#repositories.get(id)
    if (repository === undefined) return
    this.#used.get(repository)?.delete(id)
    this.opened(id, repository, at)
  }

  /** The session of the repository, or of any, that was not used since `before`, the longest of several. */
  resting(before: number, repository?: string): string | undefined {
    const [longest] = (repository === undefined ? this.#repositories : this.#used.get(repository))?.keys() ?? []
    const at = longest === undefined ? undefined : this.#usedAt(longest)
    return at !== undefined && at <= before ? longest : undefined
  }

  #usedAt(id: string): number | undefined {
    return this.#used.get(this.#repositories.get(id) ?? '')?.get(id)
  }

  /** Bytes of the session that a 202 of this process confirmed. What is staged beyond them came in a body that broke. */
  confirmed(id: string): number {
    return this.#confirmed.get(id) ?? 0
  }

  confirm(id: string, size: number): void {
    if (size === 0) this.#confirmed.delete(id)
    else if (this.#repositories.has(id)) this.#confirmed.set(id, size)
  }

  ended(id: string): void {
    this.#confirmed.delete(id)
    const repository = this.#repositories.get(id)
    if (repository === undefined) return
    this.#repositories.delete(id)
    const used = this.#used.get(repository)
    used?.delete(id)
    if (used?.size === 0) this.#used.delete(repository)
  }
}
