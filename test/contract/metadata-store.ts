/**
 * What every implementation of {@link MetadataStore} must do. Adopt it by one call:
 * `metadataStoreContract({ setup: async () => ({ store, reopen, teardown }) })`.
 *
 * @module
 */
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import {
  type BlockEntry,
  holds,
  type LossKind,
  type MetadataStore,
  type Mutation,
  type Precondition,
  PreconditionFailed
} from '../../src/registry/ports.ts'

export interface MetadataSubject {
  store: MetadataStore
  /** Closes the store and opens another over the same data. */
  reopen(): Promise<MetadataStore>
  teardown(): Promise<void>
}

export interface MetadataContract {
  setup(): Promise<MetadataSubject>
}

const root = CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')
export const digest = (name: string): Digest => digestOf(new TextEncoder().encode(name))
export const multihash = (name: string): Uint8Array =>
  Buffer.concat([Buffer.from([0x12, 0x20]), Buffer.from(digest(name).slice(7), 'hex')])

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

const a = digest('a')
const b = digest('b')
const c = digest('c')
const sorted = (...digests: Digest[]): Digest[] => digests.sort()

const putBlob = (of: Digest, uploadId = 'up'): Mutation => ({
  type: 'putBlob',
  digest: of,
  record: { size: 3, root, dagSize: 4 },
  uploadId
})
const putLink = (repository: string, of: Digest, at = 1): Mutation => ({
  type: 'putLink',
  repository,
  digest: of,
  record: { at }
})
const mediaType = 'application/vnd.oci.image.manifest.v1+json'
const putRevision = (repository: string, of: Digest): Mutation => ({
  type: 'putRevision',
  repository,
  digest: of,
  record: { mediaType, size: 2, at: 5 }
})
const putTag = (repository: string, tag: string, of: Digest): Mutation => ({
  type: 'putTag',
  repository,
  tag,
  record: { digest: of, at: 7 }
})
const node = (name: string): BlockEntry => ({
  multihash: multihash(name),
  place: { kind: 'node', length: name.length },
  bytes: new TextEncoder().encode(name)
})

export function metadataStoreContract({ setup }: MetadataContract): void {
  let subject: MetadataSubject
  let store: MetadataStore

  beforeEach(async () => {
    subject = await setup()
    store = subject.store
  })
  afterEach(() => subject.teardown())

  const refused = async (precondition: Precondition, mutations: Mutation[] = []): Promise<void> => {
    const failure = await store.commit(mutations, [precondition]).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(PreconditionFailed)
    if (failure instanceof PreconditionFailed) expect(failure.failed).toEqual([precondition])
  }
  const accepted = (precondition: Precondition): Promise<void> => store.commit([], [precondition])

  describe('losses', () => {
    const loss = { problem: 'corrupt', at: 3, foundBy: 'read', quarantined: 'name' } as const
    const putLoss = (kind: LossKind, of: Digest): Mutation => ({ type: 'putLoss', kind, digest: of, record: loss })
    const counts = async () => [await store.lossCount('blob'), await store.lossCount('manifest')]

    it('are kept and counted, also after reopening, and once however often they are found', async () => {
      await store.commit([putLink('r', a), putRevision('r', b)])
      await store.commit([putLoss('blob', a), putLoss('blob', a), putLoss('manifest', b)])
      await store.commit([putLoss('blob', a)])
      store = await subject.reopen()
      expect(await counts()).toEqual([1, 1])
      expect(await store.loss('blob', a)).toEqual(loss)
      expect(await collect(store.losses('manifest'))).toEqual([{ digest: b, record: loss }])
      expect(await store.loss('manifest', a)).toBeUndefined()
    })

    it('go with the commit that brings the bytes back', async () => {
      await store.commit([putLink('r', a), putRevision('r', b), putLoss('blob', a), putLoss('manifest', b)])
      await store.commit([putBlob(a)])
      expect(await counts()).toEqual([0, 1])
      await store.commit([{ type: 'putManifest', digest: b, bytes: new Uint8Array([1]) }])
      expect(await counts()).toEqual([0, 0])
      expect(await store.loss('blob', a)).toBeUndefined()
    })

    it('go with the last repository that holds them, and are none where nobody does', async () => {
      await store.commit([putLink('r', a), putLink('s', a), putLoss('blob', a), putLoss('blob', b)])
      expect(await counts()).toEqual([1, 0])
      await store.commit([{ type: 'deleteLink', repository: 'r', digest: a }])
      expect(await counts()).toEqual([1, 0])
      await store.commit([{ type: 'deleteLink', repository: 's', digest: a }])
      expect(await counts()).toEqual([0, 0])
      await store.commit([putRevision('r', b), putLoss('manifest', b)])
      await store.commit([{ type: 'deleteRevision', repository: 'r', digest: b }, putLoss('manifest', b)])
      expect(await counts()).toEqual([0, 0])
    })

    it('are of a manifest that is as it was read, when that was asked', async () => {
      const bytes = new Uint8Array([0, 255, 1])
      await store.commit([putRevision('r', a), { type: 'putManifest', digest: a, bytes }])
      await refused({ type: 'manifestIs', digest: a, bytes: new Uint8Array([0, 255, 2]) }, [putLoss('manifest', a)])
      await refused({ type: 'manifestIs', digest: a, bytes: undefined }, [putLoss('manifest', a)])
      expect(await counts()).toEqual([0, 0])
      await accepted({ type: 'manifestIs', digest: a, bytes })
      await accepted({ type: 'manifestIs', digest: b, bytes: undefined })
    })
  })

  describe('records', () => {
    it('answers undefined for what is absent', async () => {
      expect(await store.blob(a)).toBeUndefined()
      expect(await store.link('r', a)).toBeUndefined()
      expect(await store.manifestBytes(a)).toBeUndefined()
      expect(await store.revision('r', a)).toBeUndefined()
      expect(await store.tag('r', 't')).toBeUndefined()
      expect(await store.image(a)).toBeUndefined()
      expect(await store.upload('u')).toBeUndefined()
      expect(await store.node(multihash('x'))).toBeUndefined()
      expect(await store.repositoryExists('r')).toBe(false)
      expect(await collect(store.repositories())).toEqual([])
    })

    it('gives back what was put, before and after reopening', async () => {
      const bytes = new Uint8Array([0, 1, 2, 0, 255])
      const upload = { repository: 'r', algorithm: 'sha512', startedAt: 9 } as const
      await store.commit([
        putBlob(a),
        putLink('r', a, 11),
        { type: 'putManifest', digest: b, bytes },
        putRevision('r', b),
        putTag('r', 'latest', b),
        { type: 'putImage', digest: b, record: { root, dagSize: 99 } },
        { type: 'putUpload', id: 'u', record: upload }
      ])
      const check = async (current: MetadataStore): Promise<void> => {
        const blob = await current.blob(a)
        expect(blob).toMatchObject({ size: 3, dagSize: 4 })
        expect(blob?.root.equals(root)).toBe(true)
        expect(await current.link('r', a)).toEqual({ at: 11 })
        expect(Buffer.from((await current.manifestBytes(b)) ?? [])).toEqual(Buffer.from(bytes))
        expect(await current.revision('r', b)).toEqual({
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          size: 2,
          at: 5
        })
        expect(await current.tag('r', 'latest')).toEqual({ digest: b, at: 7 })
        const image = await current.image(b)
        expect(image?.dagSize).toBe(99)
        expect(image?.root.equals(root)).toBe(true)
        expect(await current.upload('u')).toEqual(upload)
      }
      await check(store)
      await check(await subject.reopen())
    })

    it('forgets what was deleted, though it had been read', async () => {
      await store.commit([putBlob(a), putLink('r', a), putTag('r', 't', b), putRevision('r', b)])
      await store.commit([
        { type: 'putManifest', digest: b, bytes: new Uint8Array(1) },
        { type: 'putImage', digest: b, record: { root, dagSize: 1 } },
        { type: 'putUpload', id: 'u', record: { repository: 'r', algorithm: 'sha256', startedAt: 1 } }
      ])
      expect(await store.tag('r', 't')).toBeDefined()
      expect(await store.manifestBytes(b)).toBeDefined()
      await store.commit([
        { type: 'deleteBlob', digest: a },
        { type: 'deleteLink', repository: 'r', digest: a },
        { type: 'deleteTag', repository: 'r', tag: 't', at: 9 },
        { type: 'deleteRevision', repository: 'r', digest: b },
        { type: 'deleteManifest', digest: b },
        { type: 'deleteImage', digest: b },
        { type: 'deleteUpload', id: 'u' }
      ])
      expect(await store.blob(a)).toBeUndefined()
      expect(await store.link('r', a)).toBeUndefined()
      expect(await store.tag('r', 't')).toBeUndefined()
      expect(await store.revision('r', b)).toBeUndefined()
      expect(await store.manifestBytes(b)).toBeUndefined()
      expect(await store.image(b)).toBeUndefined()
      expect(await store.upload('u')).toBeUndefined()
      expect(await store.repositoryExists('r')).toBe(false)
    })

    it('deletes what is absent without complaint', async () => {
      await store.commit([
        { type: 'deleteTag', repository: 'r', tag: 't', at: 9 },
        { type: 'deleteLink', repository: 'r', digest: a },
        { type: 'deleteBlocks', home: `blob:${a}`, multihashes: [multihash('x')] }
      ])
      expect(await store.repositoryExists('r')).toBe(false)
    })

    it('shows the latest of several changes of one key', async () => {
      await store.commit([putTag('r', 't', a), putTag('r', 't', b)])
      expect((await store.tag('r', 't'))?.digest).toBe(b)
      await store.commit([putTag('r', 't', c)])
      expect((await store.tag('r', 't'))?.digest).toBe(c)
      expect(await collect(store.tagsOf('r', a))).toEqual([])
      expect(await collect(store.tagsOf('r', b))).toEqual([])
      expect(await collect(store.tagsOf('r', c))).toEqual(['t'])
    })
  })

  describe('use of a manifest', () => {
    const used = async (of: Digest) => (await store.revision('r', of))?.used

    it('ends when a tag goes or moves on, and only then', async () => {
      await store.commit([putRevision('r', a), putRevision('r', b), putTag('r', 't', a), putTag('r', 'u', a)])
      await store.commit([putTag('r', 't', a)])
      expect(await used(a)).toBeUndefined()
      await store.commit([putTag('r', 't', b)])
      expect([await used(a), await used(b)]).toEqual([7, undefined])
      await store.commit([{ type: 'deleteTag', repository: 'r', tag: 'u', at: 9 }])
      expect([await used(a), await used(b)]).toEqual([9, undefined])
    })

    it('never goes back, and makes no manifest', async () => {
      await store.commit([putRevision('r', a), { type: 'useRevision', repository: 'r', digest: a, at: 20 }])
      await store.commit([
        { type: 'useRevision', repository: 'r', digest: a, at: 10 },
        { type: 'useRevision', repository: 'r', digest: b, at: 10 }
      ])
      expect([await used(a), await store.revision('r', b)]).toEqual([20, undefined])
      await store.commit([putTag('r', 't', a)])
      await store.commit([
        { type: 'deleteTag', repository: 'r', tag: 't', at: 30 },
        { type: 'deleteRevision', repository: 'r', digest: a }
      ])
      expect(await store.revision('r', a)).toBeUndefined()
    })
  })

  describe('walks', () => {
    const reference = (repository: string, child: Digest, parent: Digest): Mutation => ({
      type: 'putReference',
      repository,
      child,
      parent
    })
    const many = Array.from({ length: 3000 }, (_, index) => digest(`blob ${index}`)).sort()

    it('find the links that no manifest keeps, beyond any size of chunk', async () => {
      const loose = many.filter((_, index) => index % 7 === 0 || index > 2500)
      const kept = many.filter(of => !loose.includes(of))
      await store.commit([
        ...many.map(of => putLink('r', of)),
        // Elsewhere they are referenced, which is no matter here.
        ...many.map(of => reference('r-x', of, a)),
        ...kept.map(of => reference('r', of, a))
      ])
      const found = await collect(store.looseLinks())
      expect(found.map(link => link.digest)).toEqual(loose)
      expect(found[0]).toEqual({ repository: 'r', digest: loose[0], record: { at: 1 }, hold: holds.none })
      expect(await collect(store.looseLinks({ repository: 'r-x' }))).toEqual([])
    })

    it('weigh what keeps a link by all that references it', async () => {
      const holdOf = (_repository: string, parent: Digest) =>
        parent === a ? holds.recent : parent === b ? holds.untagged : holds.firm
      const [one, two, three, four] = [digest('1'), digest('2'), digest('3'), digest('4')]
      await store.commit([
        ...[one, two, three, four].map(of => putLink('r', of)),
        reference('r', one, a),
        reference('r', two, a),
        reference('r', two, b),
        reference('r', three, a),
        reference('r', three, c)
      ])
      const found = await collect(store.looseLinks({ holdOf }))
      expect(new Map(found.map(link => [link.digest, link.hold]))).toEqual(
        new Map([
          [one, holds.recent],
          [two, holds.untagged],
          [four, holds.none]
        ])
      )
    })

    it('find blobs and manifests that no repository holds, and manifests that nothing names', async () => {
      const bytes = new Uint8Array(1)
      await store.commit([
        putBlob(a),
        putBlob(b),
        putBlob(c),
        putLink('r', a),
        putLink('s', b),
        { type: 'putManifest', digest: a, bytes },
        { type: 'putManifest', digest: c, bytes },
        ...[a, b, c].map(of => putRevision('m', of)),
        { type: 'deleteRevision', repository: 'm', digest: c },
        putTag('m', 't', a),
        putRevision('r-x', b),
        reference('r-x', b, a)
      ])
      expect((await collect(store.looseBlobs())).map(blob => blob.digest)).toEqual([c])
      const holdOf = (repository: string) => (repository === 's' ? holds.recent : holds.none)
      expect(await collect(store.looseBlobs({ holdOf }))).toEqual(
        sorted(a, b, c).map(of => ({ digest: of, size: 3, hold: of === b ? holds.recent : holds.none }))
      )
      expect(await collect(store.unheldManifests())).toEqual([c])
      const unnamed = await collect(store.unnamedRevisions())
      expect(unnamed.map(({ repository, digest: of }) => [repository, of])).toEqual([['m', b]])
      expect(await collect(store.unnamedRevisions({ repository: 'r-x' }))).toEqual([])
    })

    it('go on while what they found is deleted, and stop when aborted', async () => {
      await store.commit(many.map(of => putLink('r', of)))
      let found = 0
      for await (const { digest: of } of store.looseLinks()) {
        found++
        if (found % 100 === 0) await store.commit([{ type: 'deleteLink', repository: 'r', digest: of }])
      }
      expect(found).toBe(many.length)
      const controller = new AbortController()
      const walking = (async () => {
        for await (const _ of store.looseLinks({ signal: controller.signal })) controller.abort()
      })()
      await expect(walking).rejects.toHaveProperty('name', 'AbortError')
    })
  })

  describe('lists', () => {
    it('are in byte order and start after a name', async () => {
      const names = ['v10', 'v1', 'V2', 'v1.0', '_x', 'v1-a']
      await store.commit([...names.map(name => putTag('r', name, a)), putTag('r/x', 'v1', a), putTag('r-x', 'v1', a)])
      const tags = async (after?: string) =>
        (await collect(store.tags('r', after === undefined ? {} : { after }))).map(({ tag }) => tag)
      expect(await tags()).toEqual(['V2', '_x', 'v1', 'v1-a', 'v1.0', 'v10'])
      expect(await tags('v1')).toEqual(['v1-a', 'v1.0', 'v10'])
      expect(await tags('v1-')).toEqual(['v1-a', 'v1.0', 'v10'])
      expect(await tags('zzz')).toEqual([])
    })

    it('are complete beyond any size of chunk', async () => {
      const names = Array.from({ length: 3000 }, (_, index) => `t${String(index).padStart(5, '0')}`)
      await store.commit(names.map(name => putTag('r', name, a)))
      expect((await collect(store.tags('r'))).map(({ tag }) => tag)).toEqual(names)
      expect(await collect(store.tagsOf('r', a))).toEqual(names)
    })

    it('may be left early and read while commits go on', async () => {
      const names = Array.from({ length: 200 }, (_, index) => `t${String(index).padStart(5, '0')}`)
      await store.commit(names.map(name => putTag('r', name, a)))
      const seen: string[] = []
      for await (const { tag } of store.tags('r')) {
        seen.push(tag)
        await store.commit([{ type: 'deleteTag', repository: 'r', tag, at: 9 }], [], { durable: false })
        if (seen.length === 120) break
      }
      expect(seen).toEqual(names.slice(0, 120))
      expect((await collect(store.tags('r'))).map(({ tag }) => tag)).toEqual(names.slice(120))
    })

    it('stop when aborted', async () => {
      await store.commit(Array.from({ length: 100 }, (_, index) => putTag('r', `t${index}`, a)))
      const controller = new AbortController()
      const reading = (async () => {
        for await (const _ of store.tags('r', { signal: controller.signal })) controller.abort()
      })()
      await expect(reading).rejects.toHaveProperty('name', 'AbortError')
      await expect(store.tag('r', 't1', { signal: controller.signal })).rejects.toHaveProperty('name', 'AbortError')
    })

    it('name every repository once, in byte order, whatever it holds', async () => {
      await store.commit([
        putLink('only/link', a),
        putRevision('only/revision', a),
        putTag('only/tag', 't', a),
        ...['a', 'a/b', 'a-b', 'a.b', 'a0'].flatMap(name => [
          putLink(name, b),
          putRevision(name, a),
          putTag(name, 't', a)
        ])
      ])
      // More keys in one repository than are read at once.
      await store.commit(Array.from({ length: 100 }, (_, index) => putTag('a-b', `t${index}`, a)))
      const all = ['a', 'a-b', 'a.b', 'a/b', 'a0', 'only/link', 'only/revision', 'only/tag']
      expect(await collect(store.repositories())).toEqual(all)
      for (const [index, name] of all.entries())
        expect(await collect(store.repositories({ after: name }))).toEqual(all.slice(index + 1))
      expect(await collect(store.repositories({ after: 'a/' }))).toEqual(all.slice(3))
      for (const name of all) expect(await store.repositoryExists(name)).toBe(true)
      expect(await store.repositoryExists('only')).toBe(false)
    })

    it('name the repositories under some beginnings, from anywhere on', async () => {
      const letters = ['a', 'b', '-', '/']
      const names = letters.flatMap(x => letters.flatMap(y => letters.map(z => `a${x}${y}${z}a`)))
      await store.commit(names.map((name, index) => (index % 3 === 0 ? putTag(name, 't', a) : putLink(name, b))))
      const all = names.toSorted()
      const beginnings = fc.uniqueArray(fc.constantFrom(...all.map(name => name.slice(0, 3)), 'aa', 'ab/', 'c', ''))
      const after = fc.option(fc.constantFrom(...all, 'a', 'ab', 'b'), { nil: undefined })
      await fc.assert(
        fc.asyncProperty(beginnings, after, async (some, from) => {
          const under = some.filter(text => !some.some(other => other !== text && text.startsWith(other))).sort()
          const listed = await collect(store.repositories({ under, ...(from !== undefined && { after: from }) }))
          const wanted = (name: string) => under.some(beginning => name.startsWith(beginning))
          expect(listed).toEqual(all.filter(name => wanted(name) && (from === undefined || name > from)))
        }),
        { numRuns: 300 }
      )
    })

    it('keep referrers as they were given', async () => {
      const descriptor = (of: Digest) => ({
        mediaType: 'm',
        digest: of,
        size: 1,
        artifactType: 'x/y',
        annotations: { 'org.example': '☃ "quoted"' }
      })
      await store.commit([
        { type: 'putReferrer', repository: 'r', subject: a, descriptor: descriptor(b) },
        { type: 'putReferrer', repository: 'r', subject: a, descriptor: descriptor(c) },
        { type: 'putReferrer', repository: 'other', subject: a, descriptor: descriptor(a) }
      ])
      expect(await collect(store.referrers('r', a))).toEqual(sorted(b, c).map(descriptor))
      const [first, second] = sorted(b, c)
      if (first === undefined) throw new Error('no digest')
      expect((await collect(store.referrers('r', a, { after: first }))).map(({ digest }) => digest)).toEqual([second])
      await store.commit([{ type: 'deleteReferrer', repository: 'r', subject: a, digest: b }])
      expect(await collect(store.referrers('r', a))).toEqual([descriptor(c)])
    })

    it('cover blobs, manifests, links, revisions, uploads and parents', async () => {
      await store.commit([
        ...[a, b, c].map(of => putBlob(of)),
        ...[a, b].map((of): Mutation => ({ type: 'putManifest', digest: of, bytes: new Uint8Array(2) })),
        ...[a, b].map(of => putLink('r', of)),
        ...[b, c].map(of => putRevision('r', of)),
        ...['u2', 'u1'].map(
          (id): Mutation => ({ type: 'putUpload', id, record: { repository: 'r', algorithm: 'sha256', startedAt: 1 } })
        ),
        { type: 'putReference', repository: 'r', child: a, parent: b },
        { type: 'putReference', repository: 'r', child: a, parent: c },
        { type: 'putReference', repository: 's', child: a, parent: a }
      ])
      expect((await collect(store.blobs())).map(({ digest }) => digest)).toEqual(sorted(a, b, c))
      expect(await collect(store.manifests())).toEqual(sorted(a, b))
      expect((await collect(store.links('r'))).map(({ digest }) => digest)).toEqual(sorted(a, b))
      expect((await collect(store.revisions('r'))).map(({ digest }) => digest)).toEqual(sorted(b, c))
      expect((await collect(store.uploads())).map(({ id }) => id)).toEqual(['u1', 'u2'])
      expect(await collect(store.parents('r', a))).toEqual(sorted(b, c))
      await store.commit([{ type: 'deleteReference', repository: 'r', child: a, parent: b }])
      expect(await collect(store.parents('r', a))).toEqual([c])
    })
  })

  describe('holders', () => {
    it('last while the repository has a link or a revision', async () => {
      await store.commit([putLink('r', a), putRevision('r', a), putLink('s', a)])
      expect(await collect(store.holders(a))).toEqual(['r', 's'])
      await store.commit([{ type: 'deleteLink', repository: 'r', digest: a }])
      expect(await collect(store.holders(a))).toEqual(['r', 's'])
      await store.commit([{ type: 'deleteRevision', repository: 'r', digest: a }])
      expect(await collect(store.holders(a))).toEqual(['s'])
      await refused({ type: 'unlinked', digest: a })
      await store.commit([{ type: 'deleteLink', repository: 's', digest: a }])
      expect(await collect(store.holders(a))).toEqual([])
      await accepted({ type: 'unlinked', digest: a })
    })

    it('go when link and revision go in one batch, and stay when one comes back in it', async () => {
      await store.commit([putLink('r', a), putRevision('r', a)])
      await store.commit([
        { type: 'deleteLink', repository: 'r', digest: a },
        { type: 'deleteRevision', repository: 'r', digest: a },
        putLink('r', a)
      ])
      expect(await collect(store.holders(a))).toEqual(['r'])
      await store.commit([{ type: 'deleteLink', repository: 'r', digest: a }])
      expect(await collect(store.holders(a))).toEqual([])
    })
  })

  describe('blocks', () => {
    const range = (name: string, offset: number): BlockEntry => ({
      multihash: multihash(name),
      place: { kind: 'range', offset, length: 10 }
    })

    it('have several homes', async () => {
      await store.commit([
        { type: 'putBlocks', home: `blob:${a}`, blocks: [range('leaf', 0), node('inner')] },
        { type: 'putBlocks', home: `manifest:${b}`, blocks: [range('leaf', 2 ** 40)] }
      ])
      const homes = await collect(store.blockHomes(multihash('leaf')))
      expect(homes).toEqual([
        { home: `blob:${a}`, place: { kind: 'range', offset: 0, length: 10 } },
        { home: `manifest:${b}`, place: { kind: 'range', offset: 2 ** 40, length: 10 } }
      ])
      expect(await collect(store.blockHomes(multihash('inner')))).toEqual([
        { home: `blob:${a}`, place: { kind: 'node', length: 5 } }
      ])
      expect(Buffer.from((await store.node(multihash('inner'))) ?? []).toString()).toBe('inner')
      expect(await store.node(multihash('leaf'))).toBeUndefined()
      await store.commit([{ type: 'deleteBlocks', home: `blob:${a}`, multihashes: [multihash('leaf')] }])
      expect(await collect(store.blockHomes(multihash('leaf')))).toEqual(homes.slice(1))
    })

    it('keep node bytes until the last home goes', async () => {
      await store.commit([
        { type: 'putBlocks', home: `image:${a}`, blocks: [node('shared')] },
        { type: 'putBlocks', home: `image:${b}`, blocks: [node('shared')] }
      ])
      expect(await store.node(multihash('shared'))).toBeDefined()
      await store.commit([{ type: 'deleteBlocks', home: `image:${a}`, multihashes: [multihash('shared')] }])
      expect(await store.node(multihash('shared'))).toBeDefined()
      await store.commit([
        { type: 'deleteBlocks', home: `image:${b}`, multihashes: [multihash('shared')] },
        { type: 'putBlocks', home: `image:${c}`, blocks: [node('shared')] }
      ])
      expect(await store.node(multihash('shared'))).toBeDefined()
      await store.commit([
        { type: 'putBlocks', home: `image:${b}`, blocks: [node('shared')] },
        { type: 'deleteBlocks', home: `image:${c}`, multihashes: [multihash('shared')] },
        { type: 'deleteBlocks', home: `image:${b}`, multihashes: [multihash('shared')] }
      ])
      expect(await store.node(multihash('shared'))).toBeUndefined()
      expect(await collect(store.blockHomes(multihash('shared')))).toEqual([])
    })

    it('keep node bytes when the last home goes in one commit and another comes in a concurrent one', async () => {
      await store.commit([{ type: 'putBlocks', home: `image:${a}`, blocks: [node('raced')] }])
      await Promise.all([
        store.commit([{ type: 'putBlocks', home: `image:${b}`, blocks: [node('raced')] }]),
        store.commit([{ type: 'deleteBlocks', home: `image:${a}`, multihashes: [multihash('raced')] }]),
        store.commit([{ type: 'putBlocks', home: `image:${c}`, blocks: [node('raced')] }]),
        store.commit([{ type: 'deleteBlocks', home: `image:${b}`, multihashes: [multihash('raced')] }])
      ])
      expect((await collect(store.blockHomes(multihash('raced')))).map(({ home }) => home)).toEqual([`image:${c}`])
      expect(await store.node(multihash('raced'))).toBeDefined()
    })

    it('come and go by the ten thousand, from lazy iterables', async () => {
      const names = Array.from({ length: 10_000 }, (_, index) => `leaf${index}`)
      function* blocks(): Generator<BlockEntry> {
        for (const [index, name] of names.entries()) yield range(name, index * 2 ** 20)
      }
      await store.commit([{ type: 'putBlocks', home: `blob:${a}`, blocks: blocks() }])
      expect(await collect(store.blockHomes(multihash('leaf9999')))).toHaveLength(1)
      await store.commit([{ type: 'deleteBlocks', home: `blob:${a}`, multihashes: names.map(multihash) }])
      for (const name of ['leaf0', 'leaf1023', 'leaf1024', 'leaf9999'])
        expect(await collect(store.blockHomes(multihash(name)))).toEqual([])
    })

    it('leave nothing when their iterable fails', async () => {
      function* broken(): Generator<BlockEntry> {
        yield node('kept?')
        throw new RangeError('broken')
      }
      const others = Promise.all([store.commit([putTag('r', 'before', a)]), store.commit([putTag('r', 'after', a)])])
      const failing = store.commit([
        putTag('r', 'broken', a),
        { type: 'putBlocks', home: `blob:${a}`, blocks: broken() }
      ])
      await expect(failing).rejects.toBeInstanceOf(RangeError)
      await others
      expect(await store.node(multihash('kept?'))).toBeUndefined()
      expect((await collect(store.tags('r'))).map(({ tag }) => tag)).toEqual(['after', 'before'])
    })
  })

  describe('files that may be out of place', () => {
    it('are unplaced from putBlob until placed', async () => {
      await store.commit([putBlob(a, 'u1'), putBlob(b, 'u2')])
      const reopened = await subject.reopen()
      const unplaced = await collect(reopened.unplaced())
      expect(unplaced).toHaveLength(2)
      expect(unplaced).toContainEqual({ digest: a, uploadId: 'u1' })
      await reopened.placed(a)
      expect(await collect(reopened.unplaced())).toEqual([{ digest: b, uploadId: 'u2' }])
      await reopened.commit([{ type: 'deleteBlob', digest: b }])
      expect(await collect(reopened.unplaced())).toEqual([])
    })

    it('are doomed from deleteBlob until removed, or until the blob comes back', async () => {
      await store.commit([putBlob(a), putBlob(b)])
      await store.commit([
        { type: 'deleteBlob', digest: a },
        { type: 'deleteBlob', digest: b }
      ])
      const reopened = await subject.reopen()
      expect(await collect(reopened.doomed())).toEqual(sorted(a, b))
      await reopened.removed(a)
      expect(await collect(reopened.doomed())).toEqual([b])
      await reopened.commit([putBlob(b)])
      expect(await collect(reopened.doomed())).toEqual([])
    })
  })

  describe('preconditions', () => {
    it('hold or fail by what is stored', async () => {
      await refused({ type: 'blobExists', digest: a })
      await refused({ type: 'linkExists', repository: 'r', digest: a })
      await refused({ type: 'linkAt', repository: 'r', digest: a, at: 1 })
      await refused({ type: 'revisionExists', repository: 'r', digest: a })
      await refused({ type: 'revisionIs', repository: 'r', digest: a, mediaType })
      await accepted({ type: 'revisionIs', repository: 'r', digest: a, mediaType: undefined })
      await refused({ type: 'uploadExists', id: 'u' })
      await refused({ type: 'tagIs', repository: 'r', tag: 't', digest: 'any' })
      await refused({ type: 'tagIs', repository: 'r', tag: 't', digest: a })
      await accepted({ type: 'tagIs', repository: 'r', tag: 't', digest: undefined })
      await accepted({ type: 'blobAbsent', digest: a })
      await accepted({ type: 'unlinked', digest: a })
      await accepted({ type: 'untagged', repository: 'r', digest: a })
      await accepted({ type: 'unreferenced', repository: 'r', digest: a })

      await store.commit([
        putBlob(a),
        putLink('r', a, 42),
        putRevision('r', a),
        putTag('r', 't', a),
        { type: 'putReference', repository: 'r', child: a, parent: b },
        { type: 'putUpload', id: 'u', record: { repository: 'r', algorithm: 'sha256', startedAt: 1 } }
      ])
      await accepted({ type: 'blobExists', digest: a })
      await accepted({ type: 'linkExists', repository: 'r', digest: a })
      await accepted({ type: 'linkAt', repository: 'r', digest: a, at: 42 })
      await refused({ type: 'linkAt', repository: 'r', digest: a, at: 43 })
      await accepted({ type: 'revisionExists', repository: 'r', digest: a })
      await accepted({ type: 'revisionIs', repository: 'r', digest: a, mediaType })
      await refused({ type: 'revisionIs', repository: 'r', digest: a, mediaType: 'application/other' })
      await refused({ type: 'revisionIs', repository: 'r', digest: a, mediaType: undefined })
      await accepted({ type: 'uploadExists', id: 'u' })
      await accepted({ type: 'tagIs', repository: 'r', tag: 't', digest: 'any' })
      await accepted({ type: 'tagIs', repository: 'r', tag: 't', digest: a })
      await refused({ type: 'tagIs', repository: 'r', tag: 't', digest: b })
      await refused({ type: 'tagIs', repository: 'r', tag: 't', digest: undefined })
      await refused({ type: 'blobAbsent', digest: a })
      await refused({ type: 'unlinked', digest: a })
      await refused({ type: 'untagged', repository: 'r', digest: a })
      await refused({ type: 'untagged', repository: 'r', digest: a, except: ['u', 'tt'] })
      await accepted({ type: 'untagged', repository: 'r', digest: a, except: ['u', 't'] })
      await refused({ type: 'unreferenced', repository: 'r', digest: a })
      await accepted({ type: 'revisionAt', repository: 'r', digest: a, at: 5 })
      await refused({ type: 'revisionAt', repository: 'r', digest: a, at: 2 })
      await refused({ type: 'revisionAt', repository: 'other', digest: a, at: 5 })
      await accepted({ type: 'revisionUsed', repository: 'r', digest: a, used: undefined })
      await refused({ type: 'revisionUsed', repository: 'r', digest: a, used: 5 })
      await refused({ type: 'revisionUsed', repository: 'other', digest: a, used: undefined })
      await accepted({ type: 'untagged', repository: 'other', digest: a })
      await accepted({ type: 'unreferenced', repository: 'other', digest: a })
    })

    it('reject the whole batch, naming each that fails', async () => {
      const failing: Precondition[] = [
        { type: 'blobExists', digest: b },
        { type: 'uploadExists', id: 'no' }
      ]
      const failure = await store
        .commit([putBlob(a), putTag('r', 't', a)], [{ type: 'blobAbsent', digest: a }, ...failing])
        .catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(PreconditionFailed)
      expect(failure).toHaveProperty('failed', failing)
      expect(await store.blob(a)).toBeUndefined()
      expect(await store.tag('r', 't')).toBeUndefined()
    })

    it('see the concurrent commits made before, and those only', async () => {
      const winner = (of: Digest) =>
        store.commit([putTag('r', 't', of)], [{ type: 'tagIs', repository: 'r', tag: 't', digest: undefined }])
      const results = await Promise.allSettled([
        winner(a),
        winner(b),
        store.commit([], [{ type: 'untagged', repository: 'r', digest: a }]),
        store.commit([], [{ type: 'untagged', repository: 'r', digest: b }]),
        store.commit([putTag('r', 't', c)], [{ type: 'tagIs', repository: 'r', tag: 't', digest: a }]),
        store.commit([], [{ type: 'untagged', repository: 'r', digest: a }])
      ])
      expect(results.map(({ status }) => status)).toEqual([
        'fulfilled',
        'rejected',
        'rejected',
        'fulfilled',
        'fulfilled',
        'fulfilled'
      ])
      expect((await store.tag('r', 't'))?.digest).toBe(c)
    })

    it('let one of many concurrent batches pass and keep each whole', async () => {
      const results = await Promise.allSettled(
        Array.from({ length: 50 }, (_, index) =>
          store.commit(
            [putBlob(a, `u${index}`), putTag('r', `t${index}`, a), putLink(`repo${index}`, a)],
            [{ type: 'blobAbsent', digest: a }]
          )
        )
      )
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      expect(await collect(store.tags('r'))).toHaveLength(1)
      expect(await collect(store.holders(a))).toHaveLength(1)
    })
  })

  it('does not commit what was aborted before', async () => {
    const aborted = store.commit([putBlob(a)], [], { signal: AbortSignal.abort() })
    await expect(aborted).rejects.toHaveProperty('name', 'AbortError')
    expect(await store.blob(a)).toBeUndefined()
  })

  it('keeps what was committed without durability across a clean close', async () => {
    await store.commit([putTag('r', 't', a)], [], { durable: false })
    expect(await (await subject.reopen()).tag('r', 't')).toBeDefined()
  })
}
