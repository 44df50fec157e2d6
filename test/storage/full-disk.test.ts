import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openStorage, type Storage } from '../../src/storage/open-storage.ts'
import { body, bytesOf, contentOf, expectBytes, pattern } from '../contract/upload-staging.ts'
import { describeWithSmallDisk, mountSmallDisk, type SmallDisk } from '../small-disk.ts'

const MiB = 1 << 20

const full = { reason: 'STORAGE_FULL', status: 507 }

describeWithSmallDisk('uploads on a full disk', () => {
  let disk: SmallDisk
  let storage: Storage

  beforeEach(async () => {
    disk = await mountSmallDisk(10 * MiB)
    storage = await openStorage(join(disk.path, 'data'), { uploads: { cachedSize: 2 * MiB }, reserve: 0 })
  })
  afterEach(async () => {
    await storage.close()
    await disk.close()
  })

  it.each([
    ['a few KiB', 20 * 1024],
    ['less than a leaf', MiB - 4096],
    ['several leaves', 3 * MiB + 8192]
  ])('with room for %s keep what fits and go on once there is room', async (_, room) => {
    const { staging, blobs } = storage
    await staging.create('up', 'sha256')
    await disk.fill(room)
    await expect(staging.append('up', body(pattern))).rejects.toMatchObject(full)
    const size = (await staging.size('up')) ?? 0
    expect(size).toBeGreaterThan(0)
    expect(size).toBeLessThanOrEqual(room)
    expect(await staging.content('up', 'sha256')).toEqual(contentOf(pattern.subarray(0, size)))
    await expect(staging.append('up', body(pattern.subarray(size)))).rejects.toMatchObject(full)
    await disk.empty()
    const reached = (await staging.size('up')) ?? 0
    expect(await staging.append('up', body(pattern.subarray(reached)))).toBe(pattern.length)
    const content = await staging.content('up', 'sha256')
    expect(content).toEqual(contentOf(pattern))
    await staging.sync('up')
    await staging.place('up', content.digest)
    expectBytes(await bytesOf(blobs, content.digest), pattern)
  })

  it('are told to the health check, until there is room', async () => {
    await disk.fill()
    await expect(storage.blobs.probe()).rejects.toMatchObject(full)
    await disk.empty()
    await storage.blobs.probe()
  })
})
