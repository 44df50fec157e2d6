import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { errorResponse } from '../../src/http/reply-error.ts'
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

  it('that does not open says which folder, and what is wrong with it', async () => {
    await (await openMetadata(folder)).close()
    await writeFile(await sole(/^MANIFEST/), 'ZZZZZ')
    const failure = await openMetadata(folder).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(MetadataUnusable)
    expect(String(failure)).toContain(`the metadata in ${folder} cannot be opened: it is damaged (`)
    await writeFile(join(folder, 'CURRENT'), 'nonsense\n')
    await expect(openMetadata(folder)).rejects.toThrow('its file CURRENT is damaged. ')
  })

  it('fails a read with a code that tells clients no path; the log has folder and step', async () => {
    const store = await openMetadata(folder)
    const names = Array.from({ length: 3000 }, (_, index) => `v${index}`)
    await store.commit(names.map(put))
    await store.close()
    // Opening writes the log into a table.
    const opened = await openMetadata(folder, { blockCacheBytes: 1024 })
    try {
      const table = await open(await sole(/\.ldb$/), 'r+')
      await table.write(Buffer.alloc((await table.stat()).size - 16_384, 0xff), 0, undefined, 0)
      await table.close()
      const error: unknown = await opened.tag('r', 'v0').catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ reason: 'METADATA_DAMAGED', cause: { name: 'MetadataUnusable' } })
      expect(String((error as Error).cause)).toContain(`reading the metadata in ${folder} failed: it is damaged (`)
      const { status, body } = errorResponse(error, 'id')
      expect({ status, code: JSON.parse(body).errors[0].code }).toEqual({ status: 503, code: 'UNAVAILABLE' })
      expect(body).not.toMatch(/Corruption|compressed|\/tmp|\.ts:/)
    } finally {
      await opened.close()
    }
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
