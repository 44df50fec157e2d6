import { expect } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import {
  type BlockPlace,
  lossKinds,
  type MetadataStore,
  type Mutation,
  type Precondition
} from '../../src/registry/ports.ts'
import { collect } from '../contract/metadata-store.ts'

export interface Universe {
  repositories: string[]
  digests: Digest[]
  tags: string[]
  uploads: string[]
  multihashes: Uint8Array[]
}

type Json = string

/** What the store must answer, kept the simplest way: one map a kind, nothing derived is stored. */
export class Model {
  readonly blobs = new Map<Digest, Json>()
  readonly unplaced = new Map<Digest, string>()
  readonly doomed = new Set<Digest>()
  readonly manifests = new Map<Digest, Json>()
  readonly images = new Map<Digest, Json>()
  readonly uploads = new Map<string, Json>()
  referenceUpgrade: Json | undefined
  /** By `repository digest` or `repository tag`. */
  readonly links = new Map<string, number>()
  /** What each link counts for its repository, once its blob's size was known. */
  readonly counted = new Map<string, number>()
  readonly revisions = new Map<string, Json>()
  readonly tags = new Map<string, { digest: Digest; at: number }>()
  /** `repository child parent`. */
  readonly references = new Set<string>()
  readonly referrers = new Map<string, Json>()
  /** Hex of the multihash → home → place. */
  readonly homes = new Map<string, Map<string, BlockPlace>>()
  readonly nodes = new Map<string, Json>()
  /** `kind digest`. */
  readonly losses = new Map<string, Json>()

  holds(condition: Precondition): boolean {
    switch (condition.type) {
      case 'blobExists':
        return this.blobs.has(condition.digest)
      case 'blobAbsent':
        return !this.blobs.has(condition.digest)
      case 'linkExists':
        return this.links.has(`${condition.repository} ${condition.digest}`)
      case 'linkAt':
        return this.links.get(`${condition.repository} ${condition.digest}`) === condition.at
      case 'unreferenced':
        return (
          this.referenceUpgrade === undefined &&
          !begins(this.references, `${condition.repository} ${condition.digest} `)
        )
      case 'unlinked':
        return this.#holders(condition.digest).length === 0
      case 'revisionExists':
        return this.revisions.has(`${condition.repository} ${condition.digest}`)
      case 'revisionIs':
        return this.#mediaTypeOf(`${condition.repository} ${condition.digest}`) === condition.mediaType
      case 'revisionAt': {
        const revision = this.revisions.get(`${condition.repository} ${condition.digest}`)
        return revision !== undefined && JSON.parse(revision).at === condition.at
      }
      case 'revisionUsed': {
        const revision = this.revisions.get(`${condition.repository} ${condition.digest}`)
        return revision !== undefined && JSON.parse(revision).used === condition.used
      }
      case 'manifestIs':
        return this.manifests.get(condition.digest) === (condition.bytes && hexOf(condition.bytes))
      case 'untagged':
        return this.#tagsOf(condition.repository, condition.digest).every(tag => condition.except?.includes(tag))
      case 'tagIs': {
        const tag = this.tags.get(`${condition.repository} ${condition.tag}`)
        return condition.digest === 'any' ? tag !== undefined : tag?.digest === condition.digest
      }
      case 'fits': {
        const key = `${condition.repository} ${condition.digest}`
        const held = condition.as === 'blob' ? this.links.has(key) : this.revisions.has(key)
        return held || this.#usage(condition.repository) + condition.size <= condition.limit
      }
      case 'uploadExists':
        return this.uploads.has(condition.id)
    }
  }

  apply(change: Mutation): void {
    switch (change.type) {
      case 'putBlob':
        this.blobs.set(change.digest, json(change.record))
        this.unplaced.set(change.digest, change.uploadId)
        this.doomed.delete(change.digest)
        this.losses.delete(`blob ${change.digest}`)
        return
      case 'deleteBlob':
        this.blobs.delete(change.digest)
        this.unplaced.delete(change.digest)
        this.doomed.add(change.digest)
        return
      case 'putBlocks':
        for (const { multihash, place, bytes } of change.blocks) {
          const hex = hexOf(multihash)
          const homes = this.homes.get(hex) ?? new Map<string, BlockPlace>()
          this.homes.set(hex, homes.set(change.home, place))
          if (bytes !== undefined) this.nodes.set(hex, hexOf(bytes))
        }
        return
      case 'deleteBlocks':
        for (const hex of [...change.multihashes].map(hexOf)) {
          this.homes.get(hex)?.delete(change.home)
          if ((this.homes.get(hex)?.size ?? 0) === 0) this.nodes.delete(hex)
        }
        return
      case 'putManifest':
        this.manifests.set(change.digest, hexOf(change.bytes))
        this.losses.delete(`manifest ${change.digest}`)
        return
      case 'deleteManifest':
        this.manifests.delete(change.digest)
        return
      case 'putImage':
        this.images.set(change.digest, json(change.record))
        return
      case 'deleteImage':
        this.images.delete(change.digest)
        return
      case 'putReferenceUpgrade':
        this.referenceUpgrade = json(change.record)
        return
      case 'deleteReferenceUpgrade':
        this.referenceUpgrade = undefined
        return
      case 'putUpload':
        this.uploads.set(change.id, json(change.record))
        return
      case 'deleteUpload':
        this.uploads.delete(change.id)
        return
      case 'putLoss':
        if (this.#holders(change.digest).length > 0 && !this.losses.has(`${change.kind} ${change.digest}`))
          this.losses.set(`${change.kind} ${change.digest}`, json(change.record))
        return
      case 'deleteLoss':
        this.losses.delete(`${change.kind} ${change.digest}`)
        return
      default:
        this.#applyToRepository(change)
    }
  }

  #applyToRepository(change: Extract<Mutation, { repository: string }>): void {
    const { repository } = change
    switch (change.type) {
      case 'putLink':
        this.links.set(`${repository} ${change.digest}`, change.record.at)
        this.#count(`${repository} ${change.digest}`, change.digest)
        return
      case 'deleteLink':
        this.links.delete(`${repository} ${change.digest}`)
        this.counted.delete(`${repository} ${change.digest}`)
        this.#forget(change.digest)
        return
      case 'putRevision':
        this.revisions.set(`${repository} ${change.digest}`, json(change.record))
        return
      case 'deleteRevision':
        this.revisions.delete(`${repository} ${change.digest}`)
        this.#forget(change.digest)
        return
      case 'useRevision':
        this.#use(`${repository} ${change.digest}`, change.at)
        return
      case 'putTag':
        this.#untag(`${repository} ${change.tag}`, change.record.at, change.record.digest)
        this.tags.set(`${repository} ${change.tag}`, change.record)
        return
      case 'deleteTag':
        this.#untag(`${repository} ${change.tag}`, change.at)
        this.tags.delete(`${repository} ${change.tag}`)
        return
      case 'putReference':
        this.references.add(`${repository} ${change.child} ${change.parent}`)
        return
      case 'deleteReference':
        this.references.delete(`${repository} ${change.child} ${change.parent}`)
        return
      case 'putReferrer':
        this.referrers.set(`${repository} ${change.subject} ${change.descriptor.digest}`, json(change.descriptor))
        return
      case 'deleteReferrer':
        this.referrers.delete(`${repository} ${change.subject} ${change.digest}`)
    }
  }

  #use(key: string, at: number): void {
    const revision = this.revisions.get(key)
    if (revision === undefined) return
    const record = JSON.parse(revision)
    this.revisions.set(key, json({ ...record, used: Math.max(at, record.used ?? at) }))
  }

  #untag(key: string, at: number, next?: Digest): void {
    const named = this.tags.get(key)?.digest
    if (named !== undefined && named !== next) this.#use(`${first(key)} ${named}`, at)
  }

  /** What nobody holds is lost to nobody. */
  #forget(digest: Digest): void {
    if (this.#holders(digest).length > 0) return
    for (const kind of ['blob', 'manifest']) this.losses.delete(`${kind} ${digest}`)
  }

  #count(key: string, digest: Digest): void {
    const blob = this.blobs.get(digest)
    if (blob !== undefined && !this.counted.has(key)) this.counted.set(key, JSON.parse(blob).size)
  }

  #usage(repository: string): number {
    const of = <T>(map: ReadonlyMap<string, T>) => [...map].filter(([key]) => first(key) === repository)
    const blobs = of(this.counted).reduce((sum, [, size]) => sum + size, 0)
    return of(this.revisions).reduce((sum, [, revision]) => sum + JSON.parse(revision).size, blobs)
  }

  #mediaTypeOf(key: string): string | undefined {
    const revision = this.revisions.get(key)
    return revision === undefined ? undefined : JSON.parse(revision).mediaType
  }

  #holders(digest: Digest): string[] {
    const held = [...this.links.keys(), ...this.revisions.keys()].filter(key => key.endsWith(` ${digest}`))
    return [...new Set(held.map(first))].sort()
  }

  #tagsOf(repository: string, digest: Digest): string[] {
    const tags = [...this.tags].filter(([key, tag]) => first(key) === repository && tag.digest === digest)
    return tags.map(([key]) => last(key)).sort()
  }

  /** Everything the store can be asked about the universe, as text. */
  answers({ repositories, digests, multihashes }: Universe): string[] {
    const lines: string[] = []
    const say = (...parts: unknown[]) =>
      lines.push(parts.map(part => (typeof part === 'string' ? part : json(part))).join(' '))
    const named = [...this.links.keys(), ...this.revisions.keys(), ...this.tags.keys()].map(first)
    say('repositories', [...new Set(named)].sort())
    say('blobs', sortedEntries(this.blobs))
    say('unplaced', sortedEntries(this.unplaced))
    say('doomed', [...this.doomed].sort())
    say('manifests', [...this.manifests.keys()].sort())
    say('uploads', sortedEntries(this.uploads))
    say('reference upgrade', this.referenceUpgrade)
    for (const kind of lossKinds) {
      const lost = sortedEntries([...this.losses].filter(([key]) => first(key) === kind))
      say(
        kind,
        lost.map(([key, record]) => [last(key), record]),
        lost.length
      )
    }
    for (const digest of digests) {
      say(digest, this.blobs.get(digest), this.manifests.get(digest), this.images.get(digest), this.#holders(digest))
    }
    for (const multihash of multihashes) {
      const hex = hexOf(multihash)
      say(hex, sortedEntries(this.homes.get(hex) ?? []), this.nodes.get(hex))
    }
    for (const repository of repositories) {
      const pairs = (keys: Iterable<string>) => [...keys].filter(key => first(key) === repository).sort()
      say(pairs(this.references), pairs(this.referrers.keys()))
      const under = <T>(map: ReadonlyMap<string, T>, prefix: string) =>
        sortedEntries([...map].filter(([key]) => key.startsWith(prefix))).map(([key, value]) => [
          key.slice(prefix.length),
          value
        ])
      say(repository, under(this.tags, `${repository} `), under(this.links, `${repository} `))
      say(repository, under(this.revisions, `${repository} `), this.#usage(repository))
      for (const digest of digests) {
        const parents = [...this.references].filter(key => key.startsWith(`${repository} ${digest} `)).map(last)
        say(repository, digest, this.#tagsOf(repository, digest), parents.sort())
        say(under(this.referrers, `${repository} ${digest} `))
        say(this.links.get(`${repository} ${digest}`), this.revisions.get(`${repository} ${digest}`))
      }
    }
    return lines
  }
}

/** The same questions, asked of a store. */
export async function answersOf(store: MetadataStore, universe: Universe): Promise<string[]> {
  const lines: string[] = []
  const say = (...parts: unknown[]) =>
    lines.push(parts.map(part => (typeof part === 'string' ? part : json(part))).join(' '))
  say('repositories', await collect(store.repositories()))
  say(
    'blobs',
    (await collect(store.blobs())).map(({ digest, record }) => [digest, json(record)])
  )
  say(
    'unplaced',
    (await collect(store.unplaced())).map(({ digest, uploadId }) => [digest, uploadId])
  )
  say('doomed', await collect(store.doomed()))
  say('manifests', await collect(store.manifests()))
  say(
    'uploads',
    (await collect(store.uploads())).map(({ id, record }) => [id, json(record)])
  )
  const upgrade = await store.referenceUpgrade()
  say('reference upgrade', upgrade && json(upgrade))
  for (const kind of lossKinds) {
    const lost = await collect(store.losses(kind))
    say(
      kind,
      lost.map(({ digest, record }) => [digest, json(record)]),
      await store.lossCount(kind)
    )
    for (const { digest, record } of lost) expect(await store.loss(kind, digest)).toEqual(record)
  }
  for (const digest of universe.digests) {
    const bytes = await store.manifestBytes(digest)
    const [blob, image] = [await store.blob(digest), await store.image(digest)]
    say(digest, blob && json(blob), bytes && hexOf(bytes), image && json(image), await collect(store.holders(digest)))
  }
  for (const multihash of universe.multihashes) {
    const bytes = await store.node(multihash)
    const homes = (await collect(store.blockHomes(multihash))).map(({ home, place }) => [home, place])
    say(hexOf(multihash), homes, bytes && hexOf(bytes))
  }
  for (const repository of universe.repositories) {
    const references = await collect(store.references(repository))
    const referrals = await collect(store.referrals(repository))
    say(
      references.map(({ child, parent }) => `${repository} ${child} ${parent}`),
      referrals.map(({ subject, digest }) => `${repository} ${subject} ${digest}`)
    )
    const links = (await collect(store.links(repository))).map(({ digest, record }) => [digest, record.at])
    say(
      repository,
      (await collect(store.tags(repository))).map(({ tag, record }) => [tag, record]),
      links
    )
    say(
      repository,
      (await collect(store.revisions(repository))).map(({ digest, record }) => [digest, json(record)]),
      await store.usage(repository)
    )
    for (const digest of universe.digests) {
      const parents = await collect(store.parents(repository, digest))
      say(repository, digest, await collect(store.tagsOf(repository, digest)), parents)
      say((await collect(store.referrers(repository, digest))).map(found => [found.digest, json(found)]))
      const revision = await store.revision(repository, digest)
      say((await store.link(repository, digest))?.at, revision && json(revision))
    }
  }
  return lines
}

function json(value: unknown): Json {
  return JSON.stringify(value) ?? 'undefined'
}

function sortedEntries<T>(entries: Iterable<[string, T]>): [string, T][] {
  return [...entries].sort(([left], [right]) => (left < right ? -1 : 1))
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function first(key: string): string {
  return key.slice(0, key.indexOf(' '))
}

function last(key: string): string {
  return key.slice(key.lastIndexOf(' ') + 1)
}

function begins(keys: Iterable<string>, prefix: string): boolean {
  for (const key of keys) if (key.startsWith(prefix)) return true
  return false
}
