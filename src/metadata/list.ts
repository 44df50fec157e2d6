import type { Digest } from '../oci/digest.ts'
import type { PageOptions, RepositoryOptions } from '../registry/ports.ts'
import type { Database } from './database.ts'
import {
  endOf,
  isAbove,
  prefixes,
  type RepositoryFamily,
  rangeOf,
  repositoriesAbove,
  repositoryFamilies,
  repositoryOf
} from './keys.ts'

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

/** As {@link keysUnder} where keys end in two digests, which came in as such. */
export async function* pairsUnder(
  database: Database,
  prefix: string,
  options?: PageOptions
): AsyncGenerator<[Digest, Digest]> {
  for await (const rest of keysUnder(database, prefix, options)) {
    const [first, second] = rest.split('\0')
    yield [first as Digest, second as Digest]
  }
}

/** Whether nothing is named: no blob, no manifest, no repository, and no blob that comes or goes. */
export async function isBlank(database: Database): Promise<boolean> {
  const { blobs, manifests, unplaced, doomed } = prefixes
  for (const prefix of [blobs, manifests, unplaced, doomed])
    for await (const _ of keysUnder(database, prefix)) return false
  for await (const _ of repositories(database)) return false
  return true
}

/**
 * Names of repositories: a sorted union over the families, seeking from one repository to the next and over what is not
 * asked for, so the cost is that of the repositories listed and not of what they hold or what lies between them.
 */
export async function* repositories(database: Database, options: RepositoryOptions = {}): AsyncGenerator<string> {
  const { under = [''], after, signal } = options
  const cursors = repositoryFamilies.map(family => new RepositoryCursor(database, family))
  let position = after === undefined ? '' : endOf(after)
  for (let at = 0; at < under.length; ) {
    signal?.throwIfAborted()
    const beginning = under[at] ?? ''
    if (position < beginning) position = beginning
    const name = await firstOf(cursors, position)
    if (name === undefined) return
    if (name.startsWith(beginning)) {
      yield name
      position = endOf(name)
    } else at = reachedBy(name, under, at + 1)
  }
}

async function firstOf(cursors: readonly RepositoryCursor[], position: string): Promise<string | undefined> {
  let first: string | undefined
  for (const cursor of cursors) {
    const name = await cursor.first(position)
    if (name !== undefined && (first === undefined || name < first)) first = name
  }
  return first
}

/** The first place in `under` that is not passed when the list has come to `name`. */
function reachedBy(name: string, under: readonly string[], from: number): number {
  const passed = (beginning: string) => beginning < name && !name.startsWith(beginning)
  let at = from
  while (at < under.length && passed(under[at] ?? '')) at++
  return at
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

  /** The first name whose keys are above a position (see {@link repositoriesAbove}) that never falls between calls. */
  async first(position: string): Promise<string | undefined> {
    this.#names = this.#names.filter(name => isAbove(name, position))
    if (this.#names.length === 0 && !this.#done) {
      const { items, done } = await this.#database.keys(repositoriesAbove(this.#family, position), REPOSITORY_CHUNK)
      this.#names = items.map(key => repositoryOf(this.#family, key))
      this.#done = done
    }
    return this.#names[0]
  }
}
