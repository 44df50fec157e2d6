import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HashPool } from '../../src/storage/hash-pool.ts'
import { Ring } from '../../src/storage/ring.ts'
import { body, contentOf, pattern } from '../contract/upload-staging.ts'
import { poison } from './poison.ts'
import { storageSubject } from './storage-subject.ts'

const MiB = 1 << 20
const run = promisify(execFile)
const repository = fileURLToPath(new URL('../../', import.meta.url))

describe('a hash worker that dies', () => {
  const entry = new URL('./crashing-worker.ts', import.meta.url)

  it('costs its streams a second reading, and is replaced', async () => {
    const subject = await storageSubject({ ringSlots: 4, hash: { threads: 1, entry } })
    const { staging } = subject
    const poisoned = Buffer.from(pattern)
    poisoned.set(poison, 3 * MiB)
    try {
      await staging.create('neighbour', 'sha256')
      await staging.append('neighbour', body(pattern.subarray(0, 2 * MiB)))
      await staging.create('up', 'sha256')
      await staging.append('up', body(poisoned))
      expect(await staging.content('up', 'sha256')).toEqual(contentOf(poisoned))
      await staging.append('neighbour', body(pattern.subarray(2 * MiB)))
      expect(await staging.content('neighbour', 'sha256')).toEqual(contentOf(pattern))
      await staging.create('after', 'sha256')
      await staging.append('after', body(pattern))
      expect(await staging.content('after', 'sha256')).toEqual(contentOf(pattern))
    } finally {
      await subject.teardown()
    }
  })

  it('gives back every slot and fails whoever waits for an answer', async () => {
    const ring = new Ring(2)
    const pool = new HashPool(ring.memory, { threads: 1, entry })
    const stream = pool.open('sha256')
    const slot = await ring.acquire()
    slot.bytes.set(poison)
    const done = new Promise<void>(resolve => stream.update(slot, 100, resolve))
    await expect(stream.content()).rejects.toThrow('hash worker crashed')
    await done
    expect(stream.alive).toBe(false)
    expect(await new Promise<string>(resolve => stream.update(slot, 100, () => resolve('done')))).toBe('done')
    await pool.close()
  })
})

describe('HashPool', () => {
  const ring = new Ring(2)
  let folder: string
  let path: string
  let pool: HashPool

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-pool-'))
    path = join(folder, 'file')
    await writeFile(path, pattern)
    pool = new HashPool(ring.memory, { threads: 2 })
  })
  afterEach(async () => {
    await pool.close()
    await rm(folder, { recursive: true })
  })

  it('reads files, many at once, each to the size asked for', async () => {
    const sizes = [0, 1, MiB, MiB + 1, pattern.length, 5 * MiB]
    const contents = await Promise.all(sizes.map(size => pool.read(path, size, 'sha512')))
    for (const [index, size] of sizes.entries())
      expect(contents[index]).toEqual(contentOf(pattern.subarray(0, size), 'sha512'))
  })

  it('fails for a file that is shorter, or not there', async () => {
    await expect(pool.read(path, pattern.length + 1, 'sha256')).rejects.toThrow(/ends before/)
    await expect(pool.read(join(folder, 'none'), 1, 'sha256')).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('stops reading when aborted, and answers others after', async () => {
    const controller = new AbortController()
    const reading = pool.read(path, pattern.length, 'sha256', { signal: controller.signal })
    controller.abort(new Error('client left'))
    await expect(reading).rejects.toThrow('client left')
    expect(await pool.read(path, pattern.length, 'sha256')).toEqual(contentOf(pattern))
  })

  it('fails whoever asks after it was closed', async () => {
    await pool.close()
    await expect(pool.read(path, 1, 'sha256')).rejects.toThrow('closed')
  })
})

describe('workers in a process of their own', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-workers-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  /** Hashes in a worker and then has nothing left to do, without closing anything. */
  async function digestFrom(module: URL): Promise<string> {
    const script = `
      const { openStorage } = await import(${JSON.stringify(module.href)})
      const { staging } = await openStorage(${JSON.stringify(join(folder, 'data'))})
      await staging.create('up', 'sha256')
      await staging.append('up', (async function* () { for (let n = 0; n < 48; n++) yield Buffer.alloc(65536, 7) })())
      console.log((await staging.content('up', 'sha256')).digest)`
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { timeout: 60_000 })
    return stdout.trim()
  }
  const expected = contentOf(Buffer.alloc(3 * MiB, 7)).digest

  it('do not keep it alive when idle', async () => {
    expect(await digestFrom(new URL('../../src/storage/open-storage.ts', import.meta.url))).toBe(expected)
  })

  it('are found in the compiled files too', async () => {
    const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'))
    const sources = ['open-storage.ts', 'hash-worker.ts'].map(name => join(repository, 'src', 'storage', name))
    const options = ['--ignoreConfig', '--noCheck', '--module', 'nodenext', '--target', 'es2024', '--types', 'node']
    const output = ['--rewriteRelativeImportExtensions', '--rootDir', join(repository, 'src'), '--outDir', folder]
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    await run(process.execPath, [join(typescript, 'bin', 'tsc'), ...options, ...output, ...sources], {
      cwd: repository
    })
    expect(await digestFrom(pathToFileURL(join(folder, 'storage', 'open-storage.js')))).toBe(expected)
  })
})
