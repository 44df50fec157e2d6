import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LogRotation } from '../../src/metadata/log-rotation.ts'
import { MetadataLocked, openMetadata } from '../../src/metadata/open.ts'
import { MetadataUnusable } from '../../src/metadata/unusable.ts'
import type { Mutation } from '../../src/registry/ports.ts'
import { digest } from '../contract/metadata-store.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pinnace-metadata-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('openMetadata', () => {
  it('makes the folder and its parents', async () => {
    const store = await openMetadata(join(folder, 'some', 'where'))
    await store.commit([{ type: 'putTag', repository: 'r', tag: 't', record: { digest: digest('a'), at: 1 } }])
    await store.close()
  })

  it('names the lock as what it is when another process holds the folder, and opens once that has ended', async () => {
    const module = fileURLToPath(new URL('../../src/metadata/open.ts', import.meta.url))
    const script = `
      const { openMetadata } = await import(${JSON.stringify(module)})
      await openMetadata(${JSON.stringify(folder)})
      console.log('open')
      setInterval(() => {}, 1000)
    `
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    const ended = once(holder, 'exit')
    try {
      await once(holder.stdout, 'data')
      const failure = await openMetadata(folder).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(MetadataLocked)
      expect(String(failure)).toContain('in use by another process')
    } finally {
      holder.kill('SIGKILL')
      await ended
    }
    await (await openMetadata(folder)).close()
  })

  it('does not call any other failure a lock', async () => {
    await writeFile(join(folder, 'CURRENT'), 'nonsense\n')
    const failure = await openMetadata(folder).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(Error)
    expect(failure).not.toBeInstanceOf(MetadataLocked)
  })
})

describe('a damaged database', () => {
  const put = (tag: string): Mutation => ({
    type: 'putTag',
    repository: 'r',
    tag,
    record: { digest: digest('a'), at: 1 }
  })
  const sole = async (pattern: RegExp) => {
    const [name, ...more] = (await readdir(folder)).filter(found => pattern.test(found))
    expect(more).toEqual([])
    return join(folder, name ?? '')
  }

  it('without its file CURRENT is not made anew over what is left', async () => {
    await (await openMetadata(folder)).close()
    await rm(join(folder, 'CURRENT'))
    const before = await readdir(folder)
    await expect(openMetadata(folder)).rejects.toThrow(MetadataUnusable)
    await expect(openMetadata(folder)).rejects.toThrow(`${join(folder, 'CURRENT')} is missing`)
    expect(await readdir(folder)).toEqual(before)
  })

  it('says what of its log it could not read', async () => {
    const store = await openMetadata(folder)
    await store.commit([put('v1')])
    await store.close()
    const log = await open(await sole(/\.log$/), 'r+')
    await log.write(Buffer.from('ZZ'), 0, 2, (await log.stat()).size - 4)
    await log.close()
    const dropped: string[] = []
    await (await openMetadata(folder, { onDropped: sentence => dropped.push(sentence) })).close()
    expect(dropped).toEqual([expect.stringMatching(/^\d+ bytes of \S+\.log could not be read \(Corruption: /)])
    await (await openMetadata(folder, { onDropped: sentence => dropped.push(sentence) })).close()
    expect(dropped).toHaveLength(1)
  })

  it('fails a read with a code, the folder only in its cause', async () => {
    const store = await openMetadata(folder)
    await store.commit([put('v1')])
    await store.close()
    // Opening writes the log into a table.
    await (await openMetadata(folder)).close()
    const table = await open(await sole(/\.ldb$/), 'r+')
    await table.write(Buffer.alloc(16, 0xff), 0, 16, 0)
    await table.close()
    const damaged = await openMetadata(folder).catch((error: unknown) => error)
    // The schema is read at the opening, from the same block.
    expect(damaged).toBeInstanceOf(MetadataUnusable)
    expect(String(damaged)).toMatch(/it is damaged \(corrupted compressed block contents\)/)
    expect(String(damaged)).toContain(folder)
  })
})

describe("LevelDB's fresh logs", () => {
  it('have their folder synced by the first durable write that may have made one', async () => {
    let synced = 0
    const rotation = new LogRotation(folder, 4000, async () => {
      synced++
    })
    const write = (durable: boolean) => rotation.written({ bytes: 100, changes: 1, durable })
    await writeFile(join(folder, '000003.log'), '')
    await write(true)
    expect(synced).toBe(1)
    for (let count = 0; count < 20; count++) await write(true)
    expect(synced).toBe(1)
    await writeFile(join(folder, '000008.log'), '')
    await write(false)
    expect(synced).toBe(1)
    await write(true)
    expect(synced).toBe(2)
    await rm(join(folder, '000003.log'))
    for (let count = 0; count < 40; count++) await write(true)
    expect(synced).toBe(2)
  })

  it('are synced in a real database', async () => {
    const store = await openMetadata(folder)
    for (let index = 0; index < 12; index++) {
      const bytes = new Uint8Array(1024 * 1024).fill(index)
      await store.commit([{ type: 'putManifest', digest: digest(String(index)), bytes }])
    }
    await store.close()
    const reopened = await openMetadata(folder)
    for (let index = 0; index < 12; index++) {
      const bytes = await reopened.manifestBytes(digest(String(index)))
      expect(bytes?.byteLength).toBe(1024 * 1024)
      expect(bytes?.[1000]).toBe(index)
    }
    await reopened.close()
  })
})
