import { MemoryLevel } from 'memory-level'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { LevelMetadata } from '../../src/metadata/store.ts'
import type { Mutation } from '../../src/registry/ports.ts'
import { collect, digest } from '../contract/metadata-store.ts'

const a = digest('a')
const tag = (name: string): Mutation => ({ type: 'putTag', repository: 'r', tag: name, record: { digest: a, at: 1 } })
const names = Array.from({ length: 60 }, (_, index) => `t${index}`)

let level: MemoryLevel<string, string>
let store: LevelMetadata
/** Tags of each batch the database was given. */
let batches: string[][]

beforeEach(async () => {
  level = new MemoryLevel<string, string>()
  store = new LevelMetadata({ level })
  await store.open()
  batches = []
  level.on('write', (operations: { key: string }[]) => {
    batches.push(operations.flatMap(({ key }) => (key.startsWith('tags\0') ? [key.slice('tags\0r\0'.length)] : [])))
  })
})
afterEach(() => store.close())

it('writes commits made together as one batch', async () => {
  await Promise.all(names.map(name => store.commit([tag(name)])))
  expect(batches).toEqual([names])
})

it('gathers the next group while one is written', async () => {
  const later: Promise<void>[] = []
  level.once('write', () => {
    for (const name of names) later.push(store.commit([tag(name)]))
  })
  await store.commit([tag('first')])
  await Promise.all(later)
  expect(batches).toEqual([['first'], names])
})

it('ends a group at its bytes and never splits a commit', async () => {
  const small = new LevelMetadata({ level }, { groupBytes: 400 })
  await small.open()
  await Promise.all([
    small.commit(names.slice(0, 20).map(tag)),
    ...names.slice(20, 30).map(name => small.commit([tag(name)]))
  ])
  expect(batches[0]).toEqual(names.slice(0, 20))
  expect(batches.length).toBeGreaterThan(2)
  expect(batches.flat()).toEqual(names.slice(0, 30))
})

it('leaves a rejected commit out of its group', async () => {
  const results = await Promise.allSettled(
    names.map((name, index) => store.commit([tag(name)], index % 2 === 0 ? [] : [{ type: 'blobExists', digest: a }]))
  )
  expect(results.map(({ status }) => status === 'fulfilled')).toEqual(names.map((_, index) => index % 2 === 0))
  expect(batches).toEqual([names.filter((_, index) => index % 2 === 0)])
})

it('leaves out what was aborted while it waited', async () => {
  const controller = new AbortController()
  const aborted = store.commit([tag('aborted')], [], { signal: controller.signal })
  const other = store.commit([tag('other')])
  controller.abort()
  await expect(aborted).rejects.toHaveProperty('name', 'AbortError')
  await other
  expect(batches).toEqual([['other']])
})

it('writes each key of a group once', async () => {
  let operations = 0
  level.on('write', (batch: unknown[]) => {
    operations += batch.length
  })
  await Promise.all(names.map(() => store.commit([tag('same')])))
  // The tag and its entry under the digest.
  expect(operations).toBe(2)
})

it('is drained by close, which refuses what comes after', async () => {
  const commits = names.map(name => store.commit([tag(name)]))
  const closing = store.close()
  await Promise.all([...commits, closing])
  expect(batches.flat()).toEqual(names)
  await expect(store.commit([tag('late')])).rejects.toHaveProperty('reason', 'UNAVAILABLE')
  await expect(store.tag('r', 't0')).rejects.toHaveProperty('reason', 'UNAVAILABLE')
  await expect(collect(store.tags('r'))).rejects.toHaveProperty('reason', 'UNAVAILABLE')
})

it('opens and closes any number of times', async () => {
  await store.commit([tag('t')])
  await Promise.all([store.open(), store.open()])
  await Promise.all([store.close(), store.close()])
  await store.close()
  await store.open()
  expect(await store.tag('r', 't')).toBeDefined()
})
