import type { PageOptions } from '../registry/ports.ts'
import type { Database } from './database.ts'
import { type RepositoryFamily, rangeOf, repositoriesAfter, repositoryFamilies, repositoryOf } from './keys.ts'

/** Entries read at once: few at first, since most lists are short or left early, then up to the second number. */
const FIRST_CHUNK = 32
const LARGEST_CHUNK = 1024
/** Most repositories have few keys of a family, so a few keys usually reach the next one without another seek. */
const REPOSITORY_CHUNK = 8

/**
 * Entries under a prefix, each as the rest of its key and its value. No iterator stays open between chunks: a slow or
 * vanished consumer holds no snapshot, and the database can be opened again in the middle of a list.
 */
export async function* entriesUnder(
  database: Database,
  prefix: string,
  options: PageOptions = {}
): AsyncGenerator<[rest: string, value: string]> {
  let after = options.after
  for (let limit = FIRST_CHUNK; ; limit = Math.min(2 * limit, LARGEST_CHUNK)) {
    options.signal?.throwIfAborted()
    const { items, done } = await database.entries(rangeOf(prefix, after), limit)
    for (const [key, value] of items) {
      after = key.slice(prefix.length)
      yield [after, value]
    }
    if (done) return
  }
}

/** As {@link entriesUnder} without reading values. */
export async function* keysUnder(
  database: Database,
  prefix: string,
  options: PageOptions = {}
): AsyncGenerator<string> {
  let after = options.after
  for (let limit = FIRST_CHUNK; ; limit = Math.min(2 * limit, LARGEST_CHUNK)) {
    options.signal?.throwIfAborted()
    const { items, done } = await database.keys(rangeOf(prefix, after), limit)
    for (const key of items) {
      after = key.slice(prefix.length)
      yield after
    }
    if (done) return
  }
}

/**
 * Names of all repositories: a sorted union over the families, seeking from one repository to the next, so the cost
 * is that of the repositories listed and not of what they hold.
 */
export async function* repositories(database: Database, options: PageOptions = {}): AsyncGenerator<string> {
  const cursors = repositoryFamilies.map(family => new RepositoryCursor(database, family))
  let last = options.after
  for (;;) {
    options.signal?.throwIfAborted()
    let next: string | undefined
    for (const cursor of cursors) {
      const name = await cursor.after(last)
      if (name !== undefined && (next === undefined || name < next)) next = name
    }
    if (next === undefined) return
    yield next
    last = next
  }
}

/** The repositories of one family, in order. */
class RepositoryCursor {
  readonly #database: Database
  readonly #family: RepositoryFamily
  #names: string[] = []
  #done = false

  constructor(database: Database, family: RepositoryFamily) {
    this.#database = database
    this.#family = family
  }

  /** The first name above `last`, which never decreases between calls. */
  async after(last: string | undefined): Promise<string | undefined> {
    if (last !== undefined) this.#names = this.#names.filter(name => name > last)
    if (this.#names.length === 0 && !this.#done) {
      const { items, done } = await this.#database.keys(repositoriesAfter(this.#family, last), REPOSITORY_CHUNK)
      this.#names = items.map(key => repositoryOf(this.#family, key))
      this.#done = done
    }
    return this.#names[0]
  }
}
