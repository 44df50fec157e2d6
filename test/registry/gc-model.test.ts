import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import type { GcOptions, GcReport } from '../../src/registry/registry.ts'
import { openTemporaryRegistry, pushBlob, type TemporaryRegistry } from './temporary-registry.ts'

const hour = 3_600_000
const day = 24 * hour
/** What the nodes of these tests are configured with; pushes in between advance the clock by hours. */
const init = { graceMs: day }
const repositories = ['a', 'b/c', 'd'] as const
/** Blobs that images of any repository may share. */
const blobs = Array.from({ length: 6 }, (_, index) => Buffer.alloc(100 + 1000 * index, `blob ${index}`))

/** One thing that happens to a registry, in terms of what happened before. */
type Step =
  | { what: 'image'; repository: number; config: number; layers: number[]; tag: number | undefined; subject?: number }
  | { what: 'index'; repository: number; children: number[]; tag: number | undefined; subject?: number }
  /** Of a type that the registry does not know. */
  | { what: 'other'; repository: number; blob: number; tag: number | undefined }
  | { what: 'blob'; repository: number; blob: number }
  | { what: 'untag'; repository: number; tag: number }
  | { what: 'pull'; manifest: number }
  | { what: 'wait'; hours: number }

const repository = fc.nat({ max: repositories.length - 1 })
const blob = fc.nat({ max: blobs.length - 1 })
const tag = fc.nat({ max: 3 })
const maybeTag = fc.option(tag, { nil: undefined })
const earlier = fc.nat({ max: 20 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record(
      {
        what: fc.constant('image' as const),
        repository,
        config: blob,
        layers: fc.array(blob, { maxLength: 3 }),
        tag: maybeTag,
        subject: earlier
      },
      { requiredKeys: ['what', 'repository', 'config', 'layers', 'tag'] }
    )
  },
  {
    weight: 3,
    arbitrary: fc.record(
      {
        what: fc.constant('index' as const),
        repository,
        children: fc.array(earlier, { minLength: 1, maxLength: 3 }),
        tag: maybeTag,
        subject: earlier
      },
      { requiredKeys: ['what', 'repository', 'children', 'tag'] }
    )
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('other' as const), repository, blob, tag: maybeTag }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('blob' as const), repository, blob }) },
  { weight: 5, arbitrary: fc.record({ what: fc.constant('untag' as const), repository, tag }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('pull' as const), manifest: earlier }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('wait' as const), hours: fc.nat({ max: 48 }) }) }
)

/** What every manifest pushed so far is called, in the order of the pushes. */
interface Pushed {
  repository: string
  digest: Digest
  bytes: Buffer
}

/** A registry in which these steps were taken. */
async function follow(node: TemporaryRegistry, steps: readonly Step[]): Promise<void> {
  const pushed: Pushed[] = []
  for (const [at, taken] of steps.entries()) await take(node, taken, pushed, at)
}

async function take(node: TemporaryRegistry, taken: Step, pushed: Pushed[], at: number): Promise<void> {
  const { registry } = node
  const name = 'repository' in taken ? (repositories[taken.repository] ?? 'a') : 'a'
  const here = () => pushed.filter(manifest => manifest.repository === name)
  const pick = (index: number, from: readonly Pushed[]) => (from.length === 0 ? undefined : from[index % from.length])
  const put = async (document: object, mediaType: string, tag: number | undefined) => {
    const bytes = Buffer.from(JSON.stringify(document))
    const tags = tag === undefined ? [] : [`t${tag}`]
    const { digest } = await registry.putManifest(name, { bytes, mediaType, tags })
    pushed.push({ repository: name, digest, bytes })
  }
  const subjectOf = (index: number | undefined) => {
    const found = index === undefined ? undefined : pick(index, here())
    return found === undefined ? {} : { subject: descriptorOf(found.bytes, mediaTypes.ociManifest) }
  }
  switch (taken.what) {
    case 'image': {
      const used = [taken.config, ...taken.layers].map(index => blobs[index] ?? Buffer.alloc(0))
      for (const bytes of used) await pushBlob(registry, name, bytes)
      const [config, ...layers] = used.map(bytes => descriptorOf(bytes, 'application/octet-stream'))
      // One that no other image is: else a push of the same would only renew it.
      const annotations = { at: String(at) }
      const mediaType = mediaTypes.ociManifest
      const document = { schemaVersion: 2, mediaType, config, layers, annotations, ...subjectOf(taken.subject) }
      return put(document, mediaType, taken.tag)
    }
    case 'index': {
      const children = taken.children.map(index => pick(index, here())).filter(child => child !== undefined)
      const manifests = children.map(({ bytes }) => descriptorOf(bytes, mediaTypes.ociManifest))
      const document = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests, annotations: { at: String(at) } }
      return put({ ...document, ...subjectOf(taken.subject) }, mediaTypes.ociIndex, taken.tag)
    }
    case 'other': {
      const bytes = blobs[taken.blob] ?? Buffer.alloc(0)
      await pushBlob(registry, name, bytes)
      const things = [{ thing: descriptorOf(bytes, 'application/octet-stream') }]
      return put({ things, at }, 'application/vnd.example.things+json', taken.tag)
    }
    case 'blob':
      return void (await pushBlob(registry, name, blobs[taken.blob] ?? Buffer.alloc(0)))
    case 'untag':
      return registry.deleteTag(name, `t${taken.tag}`).catch(() => undefined)
    case 'pull': {
      const found = pick(taken.manifest, pushed)
      return found === undefined ? undefined : void (await registry.getManifest(found.repository, found))
    }
    case 'wait':
      return node.advance(taken.hours * hour)
  }
}

function descriptorOf(bytes: Buffer, mediaType: string) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

async function bytesOf({ metadata }: TemporaryRegistry): Promise<number> {
  let sum = 0
  for await (const { record } of metadata.blobs()) sum += record.size
  return sum
}

async function namesOf({ metadata }: TemporaryRegistry): Promise<{ manifests: number; links: number }> {
  const found = { manifests: 0, links: 0 }
  for (const name of repositories) {
    for await (const _ of metadata.revisions(name)) found.manifests++
    for await (const _ of metadata.links(name)) found.links++
  }
  return found
}

const options: fc.Arbitrary<GcOptions> = fc.record(
  { graceMs: fc.constantFrom(0, hour, day), untaggedMs: fc.constantFrom(0, hour, 3 * day), force: fc.constant(true) },
  { requiredKeys: ['force'] }
)

/** How long ago the last of the steps was, hours. */
const age = fc.constantFrom(0, 25, 100)

test('a dry run counts what the run then frees, in every number, and the run frees what it says', {
  timeout: 300_000
}, async () => {
  let freed = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), options, age, async (steps, given, hours) => {
      const node = await openTemporaryRegistry(init)
      try {
        await follow(node, steps)
        node.advance(hours * hour)
        const [bytes, names] = [await bytesOf(node), await namesOf(node)]
        const dry = await node.registry.collectGarbage({ ...given, dryRun: true })
        expect([await bytesOf(node), await namesOf(node)]).toEqual([bytes, names])
        const real = await node.registry.collectGarbage(given)
        expect({ ...dry, dryRun: false }).toEqual(real)
        expect(bytes - (await bytesOf(node))).toBe(real.bytes)
        const left = await namesOf(node)
        expect(names).toEqual({ manifests: left.manifests + real.manifests, links: left.links + real.links })
        await expectNothingLeft(node, given, real)
        freed += real.blobs
      } finally {
        await node.close()
      }
    }),
    { numRuns: Number(process.env.PINNACE_GC_RUNS ?? 60) }
  )
  // About forty: what is never freed would be counted right by anything.
  expect(freed).toBeGreaterThan(0)
})

/** What a run spared is what one without any sparing frees after it, and then there is nothing that no tag leads to. */
async function expectNothingLeft(node: TemporaryRegistry, given: GcOptions, { spared }: GcReport): Promise<void> {
  const again = await node.registry.collectGarbage({ ...given, dryRun: true })
  expect(again).toMatchObject({ links: 0, manifests: 0, blobs: 0, bytes: 0, spared })
  const rest = await node.registry.collectGarbage({ graceMs: 0, untaggedMs: 0, force: true })
  expect(rest.bytes).toBe(spared.recent.bytes + spared.untagged.bytes)
  expect(rest.blobs).toBe(spared.recent.blobs + spared.untagged.blobs)
  for await (const untagged of node.registry.untagged()) throw new Error(`${untagged.digest} is left`)
}
