/**
 * Ordered lists read side by side: what is in one and not in another, without a look-up an item. Keys of a family sort by
 * their parts, so what is said about an item in one family lies where the item lies in its own.
 *
 * @module
 */
import type { Digest } from '../oci/digest.ts'
import { type Hold, holds, type LinkRecord, type RevisionRecord, type WalkOptions } from '../registry/ports.ts'
import type { Database } from './database.ts'
import { rangeOf } from './keys.ts'
import { decode } from './records.ts'

const NUL = '\0'
/** Entries read at once: few at first, for a walk over one small repository, then up to the second number. */
const FIRST_CHUNK = 32
const LARGEST_CHUNK = 2048

type Scope = WalkOptions & { repository?: string }

export async function* unnamedRevisions(
  database: Database,
  options: Scope = {}
): AsyncGenerator<{ repository: string; digest: Digest; record: RevisionRecord }> {
  const tagged = new Beside(database, 'tagged')
  const references = new Beside(database, 'refs')
  for await (const [path, value] of entriesOf(database, 'revisions', options)) {
    if ((await tagged.firstBelow(path)) !== undefined || (await references.firstBelow(path)) !== undefined) continue
    yield { ...splitPath(path), record: decode.revision(value) }
  }
}

export async function* looseLinks(
  database: Database,
  options: Scope = {}
): AsyncGenerator<{ repository: string; digest: Digest; record: LinkRecord; hold: Hold }> {
  const references = new Beside(database, 'refs')
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

export async function* looseBlobs(
  database: Database,
  options: WalkOptions = {}
): AsyncGenerator<{ digest: Digest; size: number; hold: Hold }> {
  const holders = new Beside(database, 'repos')
  const { holdOf = () => holds.firm } = options
  for await (const [path, value] of entriesOf(database, 'blobs', options)) {
    const digest = path as Digest
    const hold = await strongest(holders, path, repository => holdOf(repository, digest))
    if (hold < holds.firm) yield { digest, size: decode.blobSize(value), hold }
  }
}

export async function* unheldManifests(database: Database, options: WalkOptions = {}): AsyncGenerator<Digest> {
  const holders = new Beside(database, 'repos')
  for await (const path of keysOf(database, 'manifests', options)) {
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
async function* entriesOf(database: Database, family: string, scope: Scope): AsyncGenerator<[string, string]> {
  const { gt, lt } = rangeWithin(family, scope.repository)
  let after = gt
  for (let limit = FIRST_CHUNK; ; limit = Math.min(2 * limit, LARGEST_CHUNK)) {
    scope.signal?.throwIfAborted()
    const { items, done } = await database.entries({ gt: after, lt }, limit)
    for (const [key, value] of items) yield [key.slice(family.length + 1), value]
    if (done) return
    after = items.at(-1)?.[0] ?? after
    scope.advanced?.()
  }
}

async function* keysOf(database: Database, family: string, scope: Scope): AsyncGenerator<string> {
  const { gt, lt } = rangeWithin(family, scope.repository)
  let after = gt
  for (let limit = FIRST_CHUNK; ; limit = Math.min(2 * limit, LARGEST_CHUNK)) {
    scope.signal?.throwIfAborted()
    const { items, done } = await database.keys({ gt: after, lt }, limit)
    for (const key of items) yield key.slice(family.length + 1)
    if (done) return
    after = items.at(-1) ?? after
    scope.advanced?.()
  }
}

function rangeWithin(family: string, repository: string | undefined): { gt: string; lt: string } {
  return rangeOf(repository === undefined ? `${family}${NUL}` : `${family}${NUL}${repository}${NUL}`)
}

/**
 * A family whose keys begin with the paths of another one, read forward only. What lies between the paths asked for is
 * passed within a chunk and jumped over from one chunk to the next.
 */
class Beside {
  readonly #database: Database
  readonly #prefix: string
  #keys: string[] = []
  #at = 0
  #done = false
  #limit = FIRST_CHUNK

  constructor(database: Database, family: string) {
    this.#database = database
    this.#prefix = family + NUL
  }

  /** What follows the path in the first key that begins with it. Paths must never fall. */
  async firstBelow(path: string): Promise<string | undefined> {
    const bound = this.#prefix + path + NUL
    for (;;) {
      for (let key = this.#keys[this.#at]; key !== undefined; key = this.#keys[++this.#at]) {
        if (key > bound) return key.startsWith(bound) ? key.slice(bound.length) : undefined
      }
      if (this.#done) return undefined
      await this.#read(bound)
    }
  }

  /** The one behind that which was given last, for the same path. */
  async nextBelow(path: string): Promise<string | undefined> {
    this.#at++
    return this.firstBelow(path)
  }

  async #read(bound: string): Promise<void> {
    const last = this.#keys.at(-1) ?? ''
    const range = rangeOf(this.#prefix)
    const { items, done } = await this.#database.keys({ gt: last > bound ? last : bound, lt: range.lt }, this.#limit)
    this.#keys = items
    this.#at = 0
    this.#done = done
    this.#limit = Math.min(2 * this.#limit, LARGEST_CHUNK)
  }
}
