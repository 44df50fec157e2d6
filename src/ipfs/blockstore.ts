import type { Blockstore, Pair } from 'interface-blockstore'
import type { CID } from 'multiformats/cid'
import type { AbortOptions } from '../registry/ports.ts'
import type { BlockSource } from './block-source.ts'
import { findBlock, type ReadBlockComponents, readBlock } from './read-block.ts'

/** Thrown by everything that would write: blobs come in through the registry, verified and linked to a repository. */
export class ReadOnlyBlockstoreError extends Error {
  override readonly name = 'ReadOnlyBlockstoreError'
}

/**
 * The blobs of this node as an `interface-blockstore`: leaves are ranges of flat files, inner nodes come from the index,
 * nothing is stored twice. It shows what anonymous may pull and hides the rest as if it were not there.
 *
 * `has` answers from the index; `get` hashes every block before it leaves.
 */
export class BlobBlockstore implements Blockstore {
  readonly #components: ReadBlockComponents

  constructor(components: ReadBlockComponents) {
    this.#components = components
  }

  get source(): BlockSource {
    return this.#components.source
  }

  async has(cid: CID, options?: AbortOptions): Promise<boolean> {
    return (await findBlock(this.#components.source, cid, options)) !== undefined
  }

  /** @throws {BlockNotFoundError} named `NotFoundError` */
  async *get(cid: CID, options?: AbortOptions): AsyncGenerator<Uint8Array> {
    yield await readBlock(this.#components, cid, options)
  }

  async *getMany(cids: Iterable<CID> | AsyncIterable<CID>, options?: AbortOptions): AsyncGenerator<Pair> {
    for await (const cid of cids) yield { cid, bytes: this.get(cid, options) }
  }

  // biome-ignore lint/correctness/useYield: there is nothing to enumerate that a caller may delete
  async *getAll(): AsyncGenerator<Pair> {
    throw refusal('enumerated')
  }

  async put(cid: CID): Promise<CID> {
    throw refusal(`written (${cid})`)
  }

  // biome-ignore lint/correctness/useYield: refused
  async *putMany(): AsyncGenerator<CID> {
    throw refusal('written')
  }

  async delete(cid: CID): Promise<void> {
    throw refusal(`deleted (${cid})`)
  }

  // biome-ignore lint/correctness/useYield: refused
  async *deleteMany(): AsyncGenerator<CID> {
    throw refusal('deleted')
  }
}

function refusal(what: string): ReadOnlyBlockstoreError {
  return new ReadOnlyBlockstoreError(
    `blocks cannot be ${what} one by one: blobs are pushed to and deleted from the registry`
  )
}
