import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openStorage, type Storage } from '../../src/storage/open-storage.ts'
import { body, bytesOf, contentOf, expectBytes, pattern } from '../contract/upload-staging.ts'

const MiB = 1 << 20

/** Whether this process may mount; what tells is trying. */
function mayMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  const point = mkdtempSync(join(tmpdir(), 'pinnace-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', point], { stdio: 'ignore' })
    execFileSync('umount', [point], { stdio: 'ignore' })
    return true
  } catch {
    return false
  } finally {
    execFileSync('rmdir', [point])
  }
}

const able = mayMount()
const required = process.env.PINNACE_REQUIRE_INTEROP === '1'
const title = 'uploads on a full disk'
const full = { reason: 'STORAGE_FULL', status: 507 }

describe.skipIf(!able && !required)(able ? title : `${title} (needs a tmpfs: run as root on Linux)`, () => {
  let point: string
  let filler: string
  let storage: Storage

  beforeEach(async () => {
    point = await mkdtemp(join(tmpdir(), 'pinnace-full-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${10 * MiB}`, 'tmpfs', point])
    filler = join(point, 'filler')
    storage = await openStorage(join(point, 'data'), { uploads: { cachedSize: 2 * MiB } })
  })
  afterEach(async () => {
    await storage.close()
    execFileSync('umount', [point])
    await rmdir(point)
  })

  it.each([
    ['a few KiB', 20 * 1024],
    ['less than a leaf', MiB - 4096],
    ['several leaves', 3 * MiB + 8192]
  ])('with room for %s keep what fits and go on once there is room', async (_, room) => {
    const { staging, blobs } = storage
    await staging.create('up', 'sha256')
    await writeFile(filler, Buffer.alloc(10 * MiB - room - 4096))
    await expect(staging.append('up', body(pattern))).rejects.toMatchObject(full)
    const size = (await staging.size('up')) ?? 0
    expect(size).toBeGreaterThan(0)
    expect(size).toBeLessThanOrEqual(room)
    expect(await staging.content('up', 'sha256')).toEqual(contentOf(pattern.subarray(0, size)))
    await expect(staging.append('up', body(pattern.subarray(size)))).rejects.toMatchObject(full)
    await rm(filler)
    const reached = (await staging.size('up')) ?? 0
    expect(await staging.append('up', body(pattern.subarray(reached)))).toBe(pattern.length)
    const content = await staging.content('up', 'sha256')
    expect(content).toEqual(contentOf(pattern))
    await staging.sync('up')
    await staging.place('up', content.digest)
    expectBytes(await bytesOf(blobs, content.digest), pattern)
  })

  it('are told to the health check, until there is room', async () => {
    await writeFile(filler, Buffer.alloc(20 * MiB)).catch(() => {})
    await expect(storage.blobs.probe()).rejects.toMatchObject(full)
    await rm(filler)
    await storage.blobs.probe()
  })
})
