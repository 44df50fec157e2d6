import { MemoryLevel } from 'memory-level'
import { describe, expect, it } from 'vitest'
import { keys } from '../../src/metadata/keys.ts'
import { type Migration, SchemaUnsupported, schemaVersion } from '../../src/metadata/migrate.ts'
import { LevelMetadata } from '../../src/metadata/store.ts'
import { digest } from '../contract/metadata-store.ts'

const opened = async (level: MemoryLevel<string, string>, init?: { version: number; migrations: Migration[] }) => {
  const store = new LevelMetadata({ level }, init)
  await store.open()
  await store.close()
  await level.open()
}

describe('the schema number', () => {
  it('is written into an empty database and found again', async () => {
    const level = new MemoryLevel<string, string>()
    await opened(level)
    expect(await level.get(keys.schema)).toBe(String(schemaVersion))
    await opened(level)
    expect(await level.keys().all()).toEqual([keys.schema])
  })

  it('runs the migrations from the stored one on, in order, each stamped before the next', async () => {
    const level = new MemoryLevel<string, string>()
    await opened(level, { version: 1, migrations: [] })
    const ran: string[] = []
    const step = (from: number): Migration => ({
      from,
      run: async db => {
        ran.push(`${from} at ${await db.get(keys.schema)}`)
        await db.put(`step${from}`, 'done')
      }
    })
    await opened(level, { version: 4, migrations: [step(3), step(1), step(2)] })
    expect(ran).toEqual(['1 at 1', '2 at 2', '3 at 3'])
    expect(await level.get(keys.schema)).toBe('4')
    await opened(level, { version: 4, migrations: [step(1), step(2), step(3)] })
    expect(ran).toHaveLength(3)
  })

  it('stays where the last complete migration ended when one fails, and goes on from there', async () => {
    const level = new MemoryLevel<string, string>()
    await opened(level, { version: 1, migrations: [] })
    let broken = true
    const ran: number[] = []
    const migrations: Migration[] = [1, 2].map(from => ({
      from,
      run: async () => {
        if (from === 2 && broken) throw new Error('power cut')
        ran.push(from)
      }
    }))
    await expect(opened(level, { version: 3, migrations })).rejects.toThrow('power cut')
    expect(level.status).toBe('closed')
    broken = false
    await opened(level, { version: 3, migrations })
    expect(ran).toEqual([1, 2])
  })

  it('of a newer Pinnace is refused, both named, nothing changed', async () => {
    const level = new MemoryLevel<string, string>()
    await level.put(keys.schema, '7')
    const failure = await opened(level).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(SchemaUnsupported)
    expect(String(failure)).toMatch(new RegExp(`7.*${schemaVersion}.*newer Pinnace`))
    await level.open()
    expect(await level.iterator().all()).toEqual([[keys.schema, '7']])
  })

  it.each([
    ['without a number', `blobs\0${digest('a')}`, '{}'],
    ['with something else as number', keys.schema, '1.5'],
    ['without a migration from it', keys.schema, '1']
  ])('is refused %s', async (_, key, value) => {
    const level = new MemoryLevel<string, string>()
    await level.put(key, value)
    await expect(opened(level, { version: 3, migrations: [] })).rejects.toBeInstanceOf(SchemaUnsupported)
  })
})
