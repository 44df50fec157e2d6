/**
 * Ordered lists read side by side: what is in one and not in another, without a look-up an item. Keys of a family sort by
 * their parts, so what is said about an item in one family lies where the item lies in its own.
 *
 * @module
 */
import type { Digest } from '../oci/digest.ts'
import {
  type AbortOptions,
  type Hold,
  holds,
  type LinkRecord,
  type MetadataWalks,
  type RevisionRecord,
  type WalkOptions
} from '../registry/ports.ts'
import type { Database } from './database.ts'
import { ForwardCursor } from './forward-cursor.ts'
import { prefixes, rangeOf } from './keys.ts'
import { pairsUnder } from './list.ts'
import { decode } from './records.ts'

const NUL = '\0'
/** Entries read at once: few at first, for a walk over one small repository, then up to the second number. */
const FIRST_CHUNK = 32
const LARGEST_CHUNK = 2048

type Scope = WalkOptions & { repository?: string }

/** The walks over one database, and the whole indexes of a repository. */
export class LevelWalks implements MetadataWalks {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  unnamedRevisions(options?: Scope) {
    return unnamedRevisions(this.#database, options)
  }

  looseLinks(options?: Scope) {
    return looseLinks(this.#database, options)
  }

  looseBlobs(options?: WalkOptions) {
    return looseBlobs(this.#database, options)
  }

  unheldManifests(options?: WalkOptions) {
    return unheldManifests(this.#database, options)
  }

  async *references(repository: string, options?: AbortOptions): AsyncGenerator<{ child: Digest; parent: Digest }> {
    for await (const [child, parent] of pairsUnder(this.#database, prefixes.referencesIn(repository), options))
      yield { child, parent }
  }

  async *referrals(repository: string, options?: AbortOptions): AsyncGenerator<{ subject: Digest; digest: Digest }> {
    for await (const [subject, digest] of pairsUnder(this.#database, prefixes.referrersIn(repository), options))
      yield { subject, digest }
  }
}

async function* unnamedRevisions(
  database: Database,
  options: Scope = {}
): AsyncGenerator<{ repository: string; digest: Digest; record: RevisionRecord }> {
  await using tagged = new Beside(database, 'tagged')
  await using references = new Beside(database, 'refs')
  for await (const [path, value] of entriesOf(database, 'revisions', options)) {
    if ((await tagged.firstBelow(path)) !== undefined || (await references.firstBelow(path)) !== undefined) continue
    yield { ...splitPath(path), record: decode.revision(value) }
  }
}

async function* looseLinks(
  database: Database,
  options: Scope = {}
): AsyncGenerator<{ repository: string; digest: Digest; record: LinkRecord; hold: Hold }> {
  await using references = new Beside(database, 'refs')
  const { holdOf = () => holds.firm } = options
  for await (const [path, value] of entriesOf(database, 'links', options)) {
    if ((await references.firstBelow(path)) === undefined) {
      yield { ...splitPath(path), record: decode.link(value), hold: holds.none }
      continue
    }
    const { repository, digest } = splitPath(path)
    const hold = await strongest(references, path, parent => holdOf(repository, parent as Digest))
    if (hold < holds.firm) yield { repository, digest, record: decode.link(value), hold }
  }
}

async function* looseBlobs(
  database: Database,
  options: WalkOptions = {}
): AsyncGenerator<{ digest: Digest; size: number; hold: Hold }> {
  await using holders = new Beside(database, 'repos')
  const { holdOf = () => holds.firm } = options
  for await (const [path, value] of entriesOf(database, 'blobs', options)) {
    const digest = path as Digest
    const hold = await strongest(holders, path, repository => holdOf(repository, digest))
    if (hold < holds.firm) yield { digest, size: decode.blobSize(value), hold }
  }
}

async function* unheldManifests(database: Database, options: WalkOptions = {}): AsyncGenerator<Digest> {
  await using holders = new Beside(database, 'repos')
  for await (const [path] of entriesOf(database, 'manifests', options, { values: false })) {
    if ((await holders.firstBelow(path)) === undefined) yield path as Digest
  }
}

/** What keeps an item most; looked at only until something is firm. */
async function strongest(beside: Beside, path: string, holdOf: (name: string) => Hold): Promise<Hold> {
  let found: Hold = holds.none
  for (let name = await beside.firstBelow(path); name !== undefined; name = await beside.nextBelow(path)) {
    const hold = holdOf(name)
    if (hold > found) found = hold
    if (found === holds.firm) break
  }
  return found
}

function splitPath(path: string): { repository: string; digest: Digest } {
  const at = path.indexOf(NUL)
  return { repository: path.slice(0, at), digest: path.slice(at + 1) as Digest }
}

/** Keys of a family without its name, each with its value; of one repository only when the scope says so. */
async function* entriesOf(
  database: Database,
  family: string,
  scope: Scope,
  { values = true } = {}
): AsyncGenerator<[path: string, value: string]> {
  const { repository, signal, advanced } = scope
  const range = rangeOf(repository === undefined ? `${family}${NUL}` : `${family}${NUL}${repository}${NUL}`)
  const cursor = new ForwardCursor(database, range, { values })
  try {
    for (let limit = FIRST_CHUNK; ; limit = Math.min(2 * limit, LARGEST_CHUNK)) {
      signal?.throwIfAborted()
      const items = await cursor.next(limit)
      if (items.length === 0) return
      for (const [key, value] of items) yield [key.slice(family.length + 1), value]
      advanced?.()
    }
  } finally {
    await cursor.close()
  }
}

/**
 * A family whose keys begin with the paths of another one, read forward only. What lies between the paths asked for is
 * passed within a chunk and jumped over from one chunk to the next.
 */
class Beside {
  readonly #cursor: ForwardCursor
  readonly #prefix: string
  #items: [key: string, value: string][] = []
  #at = 0
  #done = false
  #limit = FIRST_CHUNK

  constructor(database: Database, family: string) {
    this.#prefix = family + NUL
    this.#cursor = new ForwardCursor(database, rangeOf(this.#prefix))
  }

  /** What follows the path in the first key that begins with it. Paths must never fall. */
  async firstBelow(path: string): Promise<string | undefined> {
    const bound = this.#prefix + path + NUL
    for (;;) {
      for (let item = this.#items[this.#at]; item !== undefined; item = this.#items[++this.#at]) {
        const [key] = item
        if (key > bound) return key.startsWith(bound) ? key.slice(bound.length) : undefined
      }
      if (this.#done) return undefined
      this.#cursor.passTo(bound)
      this.#items = await this.#cursor.next(this.#limit)
      this.#at = 0
      this.#done = this.#items.length === 0
      this.#limit = Math.min(2 * this.#limit, LARGEST_CHUNK)
    }
  }

  /** The one behind that which was given last, for the same path. */
  async nextBelow(path: string): Promise<string | undefined> {
    this.#at++
    return this.firstBelow(path)
  }

  /** For `await using`: a walk may be left early. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#cursor.close()
  }
}
