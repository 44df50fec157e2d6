import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { MemoryLevel } from 'memory-level'
import { CID } from 'multiformats/cid'
import { expect, it } from 'vitest'
import { openMetadata } from '../../src/metadata/open.ts'
import { LevelMetadata, type LevelMetadataInit } from '../../src/metadata/store.ts'
import {
  type BlockHome,
  lossKinds,
  type Mutation,
  type Precondition,
  PreconditionFailed
} from '../../src/registry/ports.ts'
import { digest, multihash } from '../contract/metadata-store.ts'
import { answersOf, Model, type Universe } from './model.ts'

const universe: Universe = {
  repositories: ['a', 'a/b', 'a-b'],
  digests: ['1', '2', '3'].map(digest),
  tags: ['latest', 'v1', 'v1.0'],
  uploads: ['u1', 'u2'],
  multihashes: ['x', 'y', 'z'].map(multihash)
}
const root = CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')

const repository = fc.constantFrom(...universe.repositories)
const of = fc.constantFrom(...universe.digests)
const tag = fc.constantFrom(...universe.tags)
const id = fc.constantFrom(...universe.uploads)
const at = fc.integer({ min: 1, max: 3 })
const multihashes = fc.subarray(universe.multihashes, { minLength: 1 })
const home = fc
  .tuple(fc.constantFrom('blob', 'manifest', 'image'), fc.constantFrom(...universe.digests.slice(0, 2)))
  .map(([kind, digest]) => `${kind}:${digest}` as BlockHome)
const dag = fc.record({ root: fc.constant(root), dagSize: at })
const is = <T extends string>(type: T) => fc.constant(type)

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({
    type: is('putBlob'),
    digest: of,
    record: fc.record({ size: at, root: fc.constant(root), dagSize: at }),
    uploadId: id
  }),
  fc.record({ type: is('deleteBlob'), digest: of }),
  fc.record({
    type: is('putBlocks'),
    home,
    blocks: multihashes.map(all =>
      all.map(multihash => ({ multihash, place: { kind: 'node', length: 32 } as const, bytes: multihash }))
    )
  }),
  fc.record({
    type: is('putBlocks'),
    home,
    blocks: multihashes.map(all =>
      all.map(multihash => ({ multihash, place: { kind: 'range', offset: 5, length: 9 } as const }))
    )
  }),
  fc.record({ type: is('deleteBlocks'), home, multihashes }),
  fc.record({ type: is('putLink'), repository, digest: of, record: fc.record({ at }) }),
  fc.record({ type: is('deleteLink'), repository, digest: of }),
  fc.record({
    type: is('putManifest'),
    digest: of,
    bytes: fc.oneof(fc.constant(Uint8Array.of(1)), fc.uint8Array({ minLength: 1, maxLength: 20 }))
  }),
  fc.record({ type: is('deleteManifest'), digest: of }),
  fc.record({
    type: is('putRevision'),
    repository,
    digest: of,
    record: fc.record(
      { mediaType: fc.constantFrom('m', 'n'), size: at, at, used: at },
      { requiredKeys: ['mediaType', 'size', 'at'] }
    )
  }),
  fc.record({ type: is('deleteRevision'), repository, digest: of }),
  fc.record({ type: is('putTag'), repository, tag, record: fc.record({ digest: of, at }) }),
  fc.record({ type: is('deleteTag'), repository, tag, at }),
  fc.record({ type: is('useRevision'), repository, digest: of, at }),
  fc.record({ type: is('putReference'), repository, child: of, parent: of }),
  fc.record({ type: is('deleteReference'), repository, child: of, parent: of }),
  fc.record({
    type: is('putReferrer'),
    repository,
    subject: of,
    descriptor: fc.record({ mediaType: is('m'), digest: of, size: at })
  }),
  fc.record({ type: is('deleteReferrer'), repository, subject: of, digest: of }),
  fc.record({ type: is('putImage'), digest: of, record: dag }),
  fc.record({ type: is('deleteImage'), digest: of }),
  fc.record({
    type: is('putUpload'),
    id,
    record: fc.record({ repository, algorithm: fc.constantFrom('sha256' as const, 'sha512' as const), startedAt: at })
  }),
  fc.record({ type: is('deleteUpload'), id }),
  fc.record({
    type: is('putReferenceUpgrade'),
    record: fc.record({ after: fc.record({ repository, digest: of }) }, { requiredKeys: [] })
  }),
  fc.record({ type: is('deleteReferenceUpgrade') }),
  fc.record({
    type: is('putLoss'),
    kind: fc.constantFrom(...lossKinds),
    digest: of,
    record: fc.record({
      problem: fc.constantFrom('corrupt' as const, 'missing' as const),
      at,
      foundBy: fc.constantFrom('read' as const, 'scrub' as const)
    })
  }),
  fc.record({ type: is('deleteLoss'), kind: fc.constantFrom(...lossKinds), digest: of })
)

const precondition: fc.Arbitrary<Precondition> = fc.oneof(
  fc.record({ type: fc.constantFrom('blobExists' as const, 'blobAbsent' as const, 'unlinked' as const), digest: of }),
  fc.record({
    type: fc.constantFrom(
      'linkExists' as const,
      'unreferenced' as const,
      'revisionExists' as const,
      'untagged' as const
    ),
    repository,
    digest: of
  }),
  fc.record({ type: is('linkAt'), repository, digest: of, at }),
  fc.record({ type: is('revisionAt'), repository, digest: of, at }),
  fc.record({ type: is('revisionUsed'), repository, digest: of, used: fc.option(at, { nil: undefined }) }),
  fc.record({
    type: is('manifestIs'),
    digest: of,
    bytes: fc.option(fc.constant(Uint8Array.of(1)), { nil: undefined })
  }),
  fc.record({ type: is('revisionIs'), repository, digest: of, mediaType: fc.constantFrom('m', 'n', undefined) }),
  fc.record({
    type: is('tagIs'),
    repository,
    tag,
    digest: fc.oneof(of, fc.constant('any' as const), fc.constant(undefined))
  }),
  fc.record({
    type: is('fits'),
    repository,
    as: fc.constantFrom('blob' as const, 'manifest' as const),
    digest: of,
    size: at,
    limit: fc.integer({ min: 0, max: 12 })
  }),
  fc.record({ type: is('uploadExists'), id })
)

const commit = fc.record({
  mutations: fc.array(mutation, { maxLength: 6 }),
  preconditions: fc.oneof(
    { weight: 2, arbitrary: fc.constant<Precondition[]>([]) },
    fc.array(precondition, { maxLength: 2 })
  ),
  durable: fc.boolean()
})
/** Commits made at once, or a close and an opening. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.array(commit, { minLength: 1, maxLength: 6 }) },
  { weight: 1, arbitrary: is('reopen') }
)
const steps = fc.array(step, { minLength: 1, maxLength: 12 })

type Steps = typeof steps extends fc.Arbitrary<infer T> ? T : never

async function follow(open: () => Promise<LevelMetadata>, taken: Steps): Promise<void> {
  const model = new Model()
  let store = await open()
  try {
    for (const step of taken) {
      if (step === 'reopen') {
        await store.close()
        store = await open()
      } else {
        const results = await Promise.all(
          step.map(({ mutations, preconditions, durable }) =>
            store.commit(mutations, preconditions, { durable }).then(
              () => [],
              (error: unknown) => (error instanceof PreconditionFailed ? error.failed : error)
            )
          )
        )
        const expected = step.map(({ mutations, preconditions }) => {
          const failed = preconditions.filter(condition => !model.holds(condition))
          if (failed.length === 0) for (const change of mutations) model.apply(change)
          return failed
        })
        expect(results).toEqual(expected)
      }
      expect(await answersOf(store, universe)).toEqual(model.answers(universe))
    }
  } finally {
    await store.close()
  }
}

it.each<[string, LevelMetadataInit]>([
  ['with everything cached', {}],
  ['with a cache that is always full', { cacheBytes: 4000 }],
  ['without a cache, in groups of one', { cacheBytes: 0, groupBytes: 1 }]
])('answers as a plain model does, whatever is committed, %s', async (_, init) => {
  await fc.assert(
    fc.asyncProperty(steps, async taken => {
      const level = new MemoryLevel<string, string>()
      await follow(async () => {
        const store = new LevelMetadata({ level }, init)
        await store.open()
        return store
      }, taken)
    }),
    { numRuns: 100 }
  )
})

it('answers as a plain model does over LevelDB', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async taken => {
      const folder = await mkdtemp(join(tmpdir(), 'pinnace-model-'))
      try {
        await follow(() => openMetadata(folder), taken)
      } finally {
        await rm(folder, { recursive: true })
      }
    }),
    { numRuns: 25 }
  )
})
