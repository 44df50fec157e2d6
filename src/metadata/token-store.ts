import type { AbortOptions, TokenRecord, TokenStore } from '../access/ports.ts'
import type { Committer } from './committer.ts'
import type { Database } from './database.ts'
import { prefixes } from './keys.ts'
import { entriesUnder } from './list.ts'
import { decode } from './records.ts'

export interface LevelTokenStoreComponents {
  database: Database
  committer: Committer
  /** @throws {RegistryError} UNAVAILABLE when the database is closed */
  assertOpen: () => void
}

/** Tokens in the metadata's own database, so that they are as durable as a push and in the same backup. */
export class LevelTokenStore implements TokenStore {
  readonly #components: LevelTokenStoreComponents

  constructor(components: LevelTokenStoreComponents) {
    this.#components = components
  }

  async *list(options?: AbortOptions): AsyncGenerator<TokenRecord> {
    this.#components.assertOpen()
    for await (const [id, value] of entriesUnder(this.#components.database, prefixes.tokens, options))
      yield { id, ...decode.token(value) }
  }

  async put(record: TokenRecord): Promise<void> {
    this.#components.assertOpen()
    await this.#components.committer.commit([{ type: 'putToken', record }], [], { durable: true })
  }

  async delete(id: string): Promise<void> {
    this.#components.assertOpen()
    await this.#components.committer.commit([{ type: 'deleteToken', id }], [], { durable: true })
  }
}
