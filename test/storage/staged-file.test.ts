import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { appendBody } from '../../src/storage/append-body.ts'
import { DiskReserve } from '../../src/storage/disk-reserve.ts'
import { HashPool } from '../../src/storage/hash-pool.ts'
import { Ring } from '../../src/storage/ring.ts'
import { StagedFile, type StagedHandle } from '../../src/storage/staged-file.ts'
import { StagedHash } from '../../src/storage/staged-hash.ts'
import { body, contentOf, expectBytes, pattern } from '../contract/upload-staging.ts'

const MiB = 1 << 20

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the kernel says it`), { code })
}

describe('a staged file', () => {
  let folder: string
  let path: string
  let pool: HashPool
  const ring = new Ring(8)
  const components = { ring, reserve: new DiskReserve(tmpdir(), { reserve: 0 }) }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-staged-'))
    path = join(folder, 'up')
    pool = new HashPool(ring.memory)
  })
  afterEach(async () => {
    await pool.close()
    expect(ring.free).toBe(8)
    await rm(folder, { recursive: true })
  })

  /** A real file whose system calls misbehave as told. */
  async function stagedFile(change: (handle: StagedHandle) => Partial<StagedHandle>): Promise<StagedFile> {
    const real = await open(path, 'wx+')
    const handle: StagedHandle = {
      writev: (views, position) => real.writev(views, position),
      truncate: length => real.truncate(length),
      datasync: () => real.datasync(),
      stat: real.stat.bind(real),
      close: () => real.close()
    }
    return new StagedFile('up', { ...handle, ...change(handle) }, new StagedHash(pool, path, 'sha256'))
  }

  it('is written whole by a system that writes less than it is given', async () => {
    const file = await stagedFile(handle => ({
      writev: async (views, position) => {
        const [first] = views
        const part = new Uint8Array(
          first?.buffer ?? new ArrayBuffer(0),
          first?.byteOffset,
          Math.min(first?.byteLength ?? 0, 77_777)
        )
        return { ...(await handle.writev([part], position)), buffers: views }
      }
    }))
    await appendBody(file, 0, body(pattern), components)
    expectBytes(await readFile(path), pattern)
    expect(await file.hash?.content()).toEqual(contentOf(pattern))
    await file.handle.close()
  })

  it('holds a prefix of the body and no hash after a write failed', async () => {
    let left = 2 * MiB + 12_345
    const file = await stagedFile(handle => ({
      writev: async (views, position) => {
        if (left === 0) throw systemError('ENOSPC')
        const [first] = views
        const part = new Uint8Array(
          first?.buffer ?? new ArrayBuffer(0),
          first?.byteOffset,
          Math.min(first?.byteLength ?? 0, left)
        )
        left -= part.length
        return { ...(await handle.writev([part], position)), buffers: views }
      }
    }))
    await expect(appendBody(file, 0, body(pattern), components)).rejects.toMatchObject({ reason: 'STORAGE_FULL' })
    expectBytes(await readFile(path), pattern.subarray(0, 2 * MiB + 12_345))
    expect(file.hash).toBeUndefined()
    left = pattern.length
    await appendBody(file, 2 * MiB + 12_345, body(pattern.subarray(2 * MiB + 12_345)), components)
    expectBytes(await readFile(path), pattern)
    await file.handle.close()
  })

  it('interrupts a body that stalls when a write fails', async () => {
    const file = await stagedFile(() => ({ writev: () => Promise.reject(systemError('EIO')) }))
    async function* stalling(): AsyncGenerator<Uint8Array> {
      yield pattern.subarray(0, 3 * MiB)
      await new Promise(() => {})
    }
    await expect(appendBody(file, 0, stalling(), components)).rejects.toMatchObject({ code: 'EIO' })
    await file.handle.close()
  })

  it('is never vouched for again after a sync failed, not even by a sync that works', async () => {
    let syncs = 0
    const file = await stagedFile(handle => ({
      datasync: () => (++syncs === 1 ? Promise.reject(systemError('EIO')) : handle.datasync())
    }))
    // The sync in the background is the one that fails.
    await appendBody(file, 0, body(pattern), components)
    await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' })
    await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' })
    await expect(appendBody(file, pattern.length, body(pattern), components)).rejects.toMatchObject({ code: 'EIO' })
    expect(file.damaged).toBe(true)
    await file.handle.close()
  })

  it('syncs once for bytes that were synced in the background, and again for bytes that came after', async () => {
    let syncs = 0
    const file = await stagedFile(handle => ({
      datasync: () => {
        syncs++
        return handle.datasync()
      }
    }))
    await appendBody(file, 0, body(pattern), components)
    expect(syncs).toBe(1)
    await file.sync()
    await file.sync()
    expect(syncs).toBe(1)
    await appendBody(file, pattern.length, body(pattern.subarray(0, 10)), components)
    await file.sync()
    expect(syncs).toBe(2)
    await file.handle.close()
  })
})
