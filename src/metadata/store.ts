import type { TokenStore } from '../access/ports.ts'
import { RegistryError } from '../errors.ts'
import type { Digest, WellFormedDigest } from '../oci/digest.ts'
import type {
  AbortOptions,
  BlobRecord,
  BlockHome,
  BlockPlace,
  CommitOptions,
  ImageRecord,
  LinkRecord,
  LossKind,
  LossRecord,
  MetadataStore,
  Mutation,
  PageOptions,
  Precondition,
  ReferenceUpgradeRecord,
  ReferrerDescriptor,
  RepositoryOptions,
  RevisionRecord,
  TagRecord,
  UnplacedBlob,
  UploadRecord
} from '../registry/ports.ts'
import { RecordCache } from './cache.ts'
import { Committer } from './committer.ts'
import { Database, type DatabaseComponents, type Level } from './database.ts'
import { hexOf, keys, prefixes, repositoryFamilies } from './keys.ts'
import { entriesUnder, isBlank, keysUnder, repositories } from './list.ts'
import { type MigrateInit, migrate } from './migrate.ts'
import { decode } from './records.ts'
import { LevelTokenStore } from './token-store.ts'
import { LevelWalks } from './walk.ts'

export interface LevelMetadataInit extends MigrateInit {
  /** Bytes of records and manifests kept decoded. Default 32 MiB. */
  cacheBytes?: number
  /** Bytes after which a group of commits takes no more. Default 8 MiB. */
  groupBytes?: number
}

/**
 * {@link MetadataStore} over any ordered store of the Level family, of which this must be the only writer. Records and
 * bytes it returns are shared with its cache: they must not be changed.
 */
export class LevelMetadata extends LevelWalks implements MetadataStore {
  /** Tokens of this node, in the same database. */
  readonly tokens: TokenStore
  readonly #level: Level
  readonly #database: Database
  readonly #cache: RecordCache
  readonly #committer: Committer
  readonly #schema: MigrateInit
  #state: 'closed' | 'open' = 'closed'
  #changing: Promise<void> = Promise.resolve()

  constructor(components: DatabaseComponents, init: LevelMetadataInit = {}) {
    const { cacheBytes = 32 * 1024 * 1024, groupBytes = 8 * 1024 * 1024, ...schema } = init
    const database = new Database(components)
    super(database)
    this.#level = components.level
    this.#database = database
    this.#cache = new RecordCache(cacheBytes)
    this.#committer = new Committer({ database: this.#database, cache: this.#cache }, groupBytes)
    this.#schema = schema
    const assertOpen = () => this.#assertOpen()
    this.tokens = new LevelTokenStore({ database: this.#database, committer: this.#committer, assertOpen })
  }

  /**
   * Opens and migrates; nothing when open already.
   *
   * @throws {SchemaUnsupported} for data of a newer Pinnace
   */
  open(): Promise<void> {
    return this.#change(async () => {
      if (this.#state === 'open') return
      await this.#database.open()
      try {
        await migrate(this.#level, this.#schema)
      } catch (error) {
        await this.#database.close()
        throw error
      }
      this.#state = 'open'
    })
  }

  /** Ends every commit under way, then closes; nothing when closed already. */
  close(): Promise<void> {
    return this.#change(async () => {
      if (this.#state === 'closed') return
      this.#state = 'closed'
      await this.#committer.idle()
      await this.#database.close()
      this.#cache.clear()
    })
  }

  /** Whether it names nothing: no blob, manifest or repository, and nothing under way. One seek where it does. */
  isBlank(): Promise<boolean> {
    return isBlank(this.#database)
  }

  // Records

  blob(digest: Digest, options?: AbortOptions): Promise<BlobRecord | undefined> {
    return this.#record(keys.blob(digest), decode.blob, options)
  }

  link(repository: string, digest: Digest, options?: AbortOptions): Promise<LinkRecord | undefined> {
    return this.#record(keys.link(repository, digest), decode.link, options)
  }

  revision(repository: string, digest: WellFormedDigest, options?: AbortOptions): Promise<RevisionRecord | undefined> {
    return this.#record(keys.revision(repository, digest), decode.revision, options)
  }

  tag(repository: string, tag: string, options?: AbortOptions): Promise<TagRecord | undefined> {
    return this.#record(keys.tag(repository, tag), decode.tag, options)
  }

  image(digest: Digest, options?: AbortOptions): Promise<ImageRecord | undefined> {
    return this.#record(keys.image(digest), decode.image, options)
  }

  upload(id: string, options?: AbortOptions): Promise<UploadRecord | undefined> {
    return this.#record(keys.upload(id), decode.upload, options)
  }

  referenceUpgrade(options?: AbortOptions): Promise<ReferenceUpgradeRecord | undefined> {
    return this.#record(keys.referenceUpgrade, decode.referenceUpgrade, options)
  }

  loss(kind: LossKind, digest: Digest, options?: AbortOptions): Promise<LossRecord | undefined> {
    return this.#record(keys.loss(kind, digest), decode.loss, options)
  }

  manifestBytes(digest: Digest, options?: AbortOptions): Promise<Uint8Array | undefined> {
    return this.#bytes(keys.manifest(digest), options)
  }

  node(multihash: Uint8Array, options?: AbortOptions): Promise<Uint8Array | undefined> {
    return this.#bytes(keys.node(hexOf(multihash)), options)
  }

  usage(repository: string, options?: AbortOptions): Promise<number> {
    return this.#number(keys.usage(repository), options)
  }

  lossCount(kind: LossKind, options?: AbortOptions): Promise<number> {
    return this.#number(keys.lossCount(kind), options)
  }

  async repositoryExists(repository: string, options?: AbortOptions): Promise<boolean> {
    for (const family of repositoryFamilies) {
      for await (const _ of keysUnder(this.#database, prefixes.repository(family, repository), options)) return true
    }
    return false
  }

  // Lists

  async *blockHomes(
    multihash: Uint8Array,
    options?: AbortOptions
  ): AsyncGenerator<{ home: BlockHome; place: BlockPlace }> {
    for await (const [home, place] of entriesUnder(this.#database, prefixes.homes(hexOf(multihash)), options))
      yield { home: home as BlockHome, place: decode.place(place) }
  }

  repositories(options?: RepositoryOptions): AsyncGenerator<string> {
    return repositories(this.#database, options)
  }

  async *tags(repository: string, options?: PageOptions): AsyncGenerator<{ tag: string; record: TagRecord }> {
    for await (const [tag, value] of entriesUnder(this.#database, prefixes.tags(repository), options))
      yield { tag, record: decode.tag(value) }
  }

  async *revisions(
    repository: string,
    options?: PageOptions
  ): AsyncGenerator<{ digest: Digest; record: RevisionRecord }> {
    for await (const [digest, value] of entriesUnder(this.#database, prefixes.revisions(repository), options))
      yield { digest: digest as Digest, record: decode.revision(value) }
  }

  async *links(repository: string, options?: PageOptions): AsyncGenerator<{ digest: Digest; record: LinkRecord }> {
    for await (const [digest, value] of entriesUnder(this.#database, prefixes.links(repository), options))
      yield { digest: digest as Digest, record: decode.link(value) }
  }

  tagsOf(repository: string, digest: Digest, options?: AbortOptions): AsyncGenerator<string> {
    return keysUnder(this.#database, prefixes.tagged(repository, digest), options)
  }

  parents(repository: string, child: Digest, options?: AbortOptions): AsyncGenerator<Digest> {
    return this.#digests(prefixes.references(repository, child), options)
  }

  async *referrers(
    repository: string,
    subject: WellFormedDigest,
    options?: PageOptions
  ): AsyncGenerator<ReferrerDescriptor> {
    for await (const [, value] of entriesUnder(this.#database, prefixes.referrers(repository, subject), options))
      yield decode.referrer(value)
  }

  holders(digest: Digest, options?: AbortOptions): AsyncGenerator<string> {
    return keysUnder(this.#database, prefixes.holders(digest), options)
  }

  async *blobs(options?: PageOptions): AsyncGenerator<{ digest: Digest; record: BlobRecord }> {
    for await (const [digest, value] of entriesUnder(this.#database, prefixes.blobs, options))
      yield { digest: digest as Digest, record: decode.blob(value) }
  }

  manifests(options?: PageOptions): AsyncGenerator<Digest> {
    return this.#digests(prefixes.manifests, options)
  }

  async *uploads(options?: PageOptions): AsyncGenerator<{ id: string; record: UploadRecord }> {
    for await (const [id, value] of entriesUnder(this.#database, prefixes.uploads, options))
      yield { id, record: decode.upload(value) }
  }

  async *losses(kind: LossKind, options?: PageOptions): AsyncGenerator<{ digest: Digest; record: LossRecord }> {
    for await (const [digest, value] of entriesUnder(this.#database, prefixes.losses(kind), options))
      yield { digest: digest as Digest, record: decode.loss(value) }
  }

  // Commits

  async *unplaced(options?: AbortOptions): AsyncGenerator<UnplacedBlob> {
    for await (const [digest, uploadId] of entriesUnder(this.#database, prefixes.unplaced, options))
      yield { digest: digest as Digest, uploadId }
  }

  async placed(digest: Digest): Promise<void> {
    this.#assertOpen()
    await this.#committer.commit([{ type: 'placed', digest }], [], { durable: false })
  }

  doomed(options?: AbortOptions): AsyncGenerator<Digest> {
    return this.#digests(prefixes.doomed, options)
  }

  async removed(digest: Digest): Promise<void> {
    this.#assertOpen()
    await this.#committer.commit([{ type: 'removed', digest }], [], { durable: false })
  }

  async commit(
    mutations: readonly Mutation[],
    preconditions: readonly Precondition[] = [],
    options: CommitOptions = {}
  ): Promise<void> {
    options.signal?.throwIfAborted()
    this.#assertOpen()
    await this.#committer.commit(mutations, preconditions, { ...options, durable: options.durable ?? true })
  }

  /** The key's family fixes `T`: nothing else is ever cached under it than what this same `decoded` returned. */
  async #record<T extends object>(
    key: string,
    decoded: (text: string) => T,
    options?: AbortOptions
  ): Promise<T | undefined> {
    options?.signal?.throwIfAborted()
    const hit = this.#cache.get(key)
    if (hit !== undefined) return hit as T
    while (!this.#database.usable) await this.#database.ready()
    // Read and kept in one turn: no commit can return in between and leave an old record in the cache.
    const text = this.#database.text(key)
    if (text === undefined) return undefined
    const record = Object.freeze(decoded(text))
    this.#cache.set(key, record, 2 * text.length)
    return record
  }

  async #bytes(key: string, options?: AbortOptions): Promise<Uint8Array | undefined> {
    options?.signal?.throwIfAborted()
    const hit = this.#cache.get(key)
    if (hit !== undefined) return hit as Uint8Array
    while (!this.#database.usable) await this.#database.ready()
    const bytes = this.#database.bytes(key)
    if (bytes !== undefined) this.#cache.set(key, bytes, bytes.byteLength)
    return bytes
  }

  async #number(key: string, options?: AbortOptions): Promise<number> {
    options?.signal?.throwIfAborted()
    while (!this.#database.usable) await this.#database.ready()
    return Number(this.#database.text(key) ?? 0)
  }

  #digests(prefix: string, options?: PageOptions): AsyncGenerator<Digest> {
    // Keys of these families end in a digest that came in as one.
    return keysUnder(this.#database, prefix, options) as AsyncGenerator<Digest>
  }

  #assertOpen(): void {
    if (this.#state !== 'open') throw new RegistryError('UNAVAILABLE', { message: 'the metadata store is closed' })
  }

  /** Openings and closings one after another. */
  #change(step: () => Promise<void>): Promise<void> {
    const changed = this.#changing.then(step)
    this.#changing = changed.catch(() => undefined)
    return changed
  }
}
