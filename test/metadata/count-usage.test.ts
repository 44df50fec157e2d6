import { MemoryLevel } from 'memory-level'
import { expect, it } from 'vitest'
import { keys } from '../../src/metadata/keys.ts'
import { LevelMetadata } from '../../src/metadata/store.ts'
import { digest } from '../contract/metadata-store.ts'

const root = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const [small, large, gone, manifest] = ['small', 'large', 'gone', 'manifest'].map(digest) as [
  ReturnType<typeof digest>,
  ReturnType<typeof digest>,
  ReturnType<typeof digest>,
  ReturnType<typeof digest>
]

/** Data as schema 1 wrote it: links without sizes, one of them to a blob that rotted, and no totals. */
async function schemaOne(): Promise<MemoryLevel<string, string>> {
  const level = new MemoryLevel<string, string>()
  const blob = (size: number) => JSON.stringify({ size, root, dagSize: size })
  await level.put(keys.schema, '1')
  await level.put(keys.blob(small), blob(3))
  await level.put(keys.blob(large), blob(7_000_000_000))
  for (const [repository, of] of [
    ['a', small],
    ['a', large],
    ['a/b', small],
    ['a', gone]
  ] as const) {
    await level.put(keys.link(repository, of), '{"at":5}')
    await level.put(keys.holder(of, repository), '')
  }
  for (const repository of ['a', 'only-manifests'])
    await level.put(keys.revision(repository, manifest), '{"mediaType":"m","size":11,"at":5}')
  return level
}

const totals = { a: 7_000_000_014, 'a/b': 3, 'only-manifests': 11, none: 0 }

async function expectTotals(level: MemoryLevel<string, string>): Promise<void> {
  const store = new LevelMetadata({ level })
  await store.open()
  for (const [repository, bytes] of Object.entries(totals)) expect(await store.usage(repository)).toBe(bytes)
  expect(await store.link('a', large)).toEqual({ at: 5 })
  await store.commit([
    { type: 'deleteLink', repository: 'a', digest: large },
    { type: 'deleteLink', repository: 'a', digest: gone }
  ])
  expect(await store.usage('a')).toBe(14)
  await store.close()
}

it('what repositories hold is counted once when data of schema 1 is opened', async () => {
  await expectTotals(await schemaOne())
})

it('counting that a crash cut short begins anew', async () => {
  const level = await schemaOne()
  await level.put(keys.usage('a'), '99')
  await level.put(keys.usage('only-manifests'), '11')
  await level.put(keys.usage('no-more'), '1')
  await expectTotals(level)
  await level.open()
  expect(await level.get(keys.usage('no-more'))).toBeUndefined()
})
