import { MemoryLevel } from 'memory-level'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LevelMetadata } from '../../src/metadata/store.ts'
import type { Mutation } from '../../src/registry/ports.ts'
import { collect, digest } from '../contract/metadata-store.ts'

const a = digest('a')
const b = digest('b')
const tag = (name: string, of = a): Mutation => ({
  type: 'putTag',
  repository: 'r',
  tag: name,
  record: { digest: of, at: 1 }
})
const full = () => new Error('IO error: 000004.log: No space left on device')
const broken = () => new Error('IO error: 000004.log: Input/output error')

let level: MemoryLevel<string, string>
let store: LevelMetadata
let room: number
/** What the next writes and openings fail with, one a time. */
let writes: (Error | undefined)[]
let openings: (Error | undefined)[]
let opened: number

beforeEach(async () => {
  level = new MemoryLevel<string, string>()
  room = Number.POSITIVE_INFINITY
  writes = []
  openings = []
  opened = 0
  level.hooks.postopen.add(async () => {
    opened++
    const failure = openings.shift()
    if (failure !== undefined) throw failure
  })
  store = new LevelMetadata({ level, room: async () => room })
  await store.open()
  await store.commit([tag('kept'), { type: 'putManifest', digest: a, bytes: new Uint8Array([1, 0, 255]) }])
  level.hooks.prewrite.add(() => {
    const failure = writes.shift()
    if (failure !== undefined) throw failure
  })
  opened = 0
})
afterEach(() => store.close())

const tags = async (): Promise<string[]> => (await collect(store.tags('r'))).map(({ tag }) => tag)

describe('after a failed write', () => {
  it('the database is opened again and the write repeated', async () => {
    writes = [broken()]
    await store.commit([tag('new')])
    expect(opened).toBe(1)
    expect(await tags()).toEqual(['kept', 'new'])
  })

  it.each([
    ['and the repeated one', ['put']],
    ['and everything until the next commit', ['put', 'del']]
  ])('%s, the commit is rejected and the next one opens the database first', async (_, types) => {
    let failing = true
    level.hooks.prewrite.add(({ type, key }) => {
      if (failing && types.includes(type) && key === 'tags\0r\0new') throw broken()
    })
    await expect(store.commit([tag('new')])).rejects.toHaveProperty('cause.message', broken().message)
    failing = false
    expect(opened).toBe(1)
    expect(await tags()).toEqual(['kept'])
    await store.commit([tag('next')])
    expect(opened).toBe(2)
    expect(await tags()).toEqual(['kept', 'next'])
  })

  it('for want of space, reads go on and nothing is closed until there is room', async () => {
    room = 0
    writes = [full()]
    const together = await Promise.allSettled([store.commit([tag('x')]), store.commit([tag('y')])])
    for (const result of together) {
      expect(result.status).toBe('rejected')
      if (result.status === 'rejected') expect(result.reason).toHaveProperty('reason', 'STORAGE_FULL')
    }
    // The database would take the write now, but its log may be torn.
    await expect(store.commit([tag('z')])).rejects.toHaveProperty('reason', 'STORAGE_FULL')
    expect(opened).toBe(0)
    expect(await tags()).toEqual(['kept'])
    expect(await store.tag('r', 'kept')).toBeDefined()
    room = 2 ** 30
    await store.commit([tag('z')])
    expect(opened).toBe(1)
    expect(await tags()).toEqual(['kept', 'z'])
  })

  it('whose changes are found on opening, they are put back', async () => {
    room = 0
    writes = [full()]
    const changes: Mutation[] = [
      tag('kept', b),
      tag('ghost'),
      { type: 'putManifest', digest: a, bytes: new Uint8Array([9]) }
    ]
    await expect(store.commit(changes)).rejects.toHaveProperty('reason', 'STORAGE_FULL')
    level.hooks.postopen.add(async () => {
      await level.batch([
        { type: 'put', key: 'tags\0r\0kept', value: JSON.stringify({ digest: b, at: 1 }) },
        { type: 'put', key: 'tags\0r\0ghost', value: JSON.stringify({ digest: a, at: 1 }) },
        { type: 'put', key: `tagged\0r\0${b}\0kept`, value: '' },
        { type: 'del', key: `tagged\0r\0${a}\0kept` },
        { type: 'put', key: `manifests\0${a}`, value: 'ghost' }
      ])
    })
    room = 2 ** 30
    await store.commit([tag('next')], [{ type: 'tagIs', repository: 'r', tag: 'ghost', digest: undefined }])
    expect(await tags()).toEqual(['kept', 'next'])
    expect((await store.tag('r', 'kept'))?.digest).toBe(a)
    expect(await collect(store.tagsOf('r', a))).toEqual(['kept', 'next'])
    expect(await collect(store.tagsOf('r', b))).toEqual([])
    expect([...((await store.manifestBytes(a)) ?? [])]).toEqual([1, 0, 255])
  })

  it('and a failed opening, reads open the database again', async () => {
    writes = [broken()]
    openings = [broken(), broken()]
    await expect(store.commit([tag('new')])).rejects.toHaveProperty('cause.message', broken().message)
    expect(level.status).toBe('closed')
    await expect(store.tag('r', 'other')).rejects.toThrow()
    expect(await tags()).toEqual(['kept'])
    await store.commit([tag('next')])
    expect(await tags()).toEqual(['kept', 'next'])
  })

  it('lists under way are continued over the reopened database', async () => {
    const many = Array.from({ length: 500 }, (_, index) => `t${String(index).padStart(4, '0')}`)
    await store.commit(many.map(name => tag(name)))
    const seen: string[] = []
    for await (const { tag: name } of store.tags('r')) {
      seen.push(name)
      if (seen.length === 100) {
        writes = [broken()]
        await store.commit([{ type: 'deleteTag', repository: 'r', tag: 'kept', at: 9 }])
      }
    }
    expect(opened).toBe(1)
    expect(seen).toEqual(['kept', ...many])
  })

  it('reads made meanwhile wait and are answered', async () => {
    writes = [broken()]
    const commit = store.commit([tag('new')])
    const reads: Promise<unknown>[] = []
    for (let turn = 0; turn < 50; turn++) {
      reads.push(store.tag('r', 'kept'), store.link('r', a), tags())
      await Promise.resolve()
    }
    await commit
    expect((await Promise.all(reads)).length).toBe(150)
    expect(opened).toBe(1)
  })
})
