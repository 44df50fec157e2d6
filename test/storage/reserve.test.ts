import { randomBytes } from 'node:crypto'
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { UnixfsDagBuilder } from '../../src/ipfs/dag-builder.ts'
import { openMetadata } from '../../src/metadata/open.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { openRegistry } from '../../src/registry/index.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { DiskReserve, defaultReserve } from '../../src/storage/disk-reserve.ts'
import { openStorage } from '../../src/storage/open-storage.ts'
import { type Pinnace, startPinnace } from '../interop/node.ts'
import { chunks, pushBlob, pushImage } from '../registry/temporary-registry.ts'
import { describeWithSmallDisk, mountSmallDisk, type SmallDisk } from '../small-disk.ts'

const MiB = 1 << 20
const GiB = 1 << 30
const full = { reason: 'STORAGE_FULL', status: 507, headers: { 'Retry-After': expect.stringMatching(/^\d+$/) } }
const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** A body that tells how much of it was asked for. */
function counted(size: number) {
  const body = { taken: 0, bytes: generate() }
  async function* generate() {
    const chunk = randomBytes(64 * 1024)
    for (; body.taken < size; body.taken += chunk.length) yield chunk
  }
  return body
}

describe('the reserve', () => {
  it('is by default 5 % of the disk within bounds that fit it', () => {
    expect(defaultReserve(4000 * GiB)).toBe(GiB)
    expect(defaultReserve(10 * GiB)).toBe(0.5 * GiB)
    expect(defaultReserve(GiB)).toBe(64 * MiB)
    expect(defaultReserve(80 * MiB)).toBe(10 * MiB)
  })

  it('may be a share or a size; 0 is none at all', async () => {
    // Of the size of the disk, which stays; what is free, others change meanwhile.
    const { blocks, bsize } = await statfs(tmpdir())
    await expect(new DiskReserve(tmpdir(), { reserve: blocks * bsize }).admit(0)).rejects.toMatchObject(full)
    await expect(new DiskReserve(tmpdir(), { reserve: { share: 1 } }).admit(1)).rejects.toMatchObject(full)
    await new DiskReserve(tmpdir(), { reserve: { share: 0 } }).admit(1)
    const huge = 2 * blocks * bsize
    await expect(new DiskReserve(tmpdir(), { reserve: { share: 0 } }).admit(huge)).rejects.toMatchObject(full)
    const none = new DiskReserve(tmpdir(), { reserve: 0 })
    await none.admit(huge)
    expect(none.take(huge)).toBeUndefined()
  })

  it('once passed, is passed by no other upload that is going on, however many there are', async () => {
    const reserve = new DiskReserve(tmpdir(), { reserve: Number.MAX_SAFE_INTEGER })
    await expect(reserve.take(1000)).rejects.toMatchObject(full)
    for (let upload = 0; upload < 100; upload++) await expect(reserve.take(1000)).rejects.toMatchObject(full)
  })

  it('does not ask the file system for each chunk', async () => {
    const reserve = new DiskReserve(tmpdir(), { reserve: 1 })
    await reserve.admit(0)
    let asked = 0
    for (let taken = 0; taken < 640 * MiB; taken += 64 * 1024) {
      const looking = reserve.take(64 * 1024)
      if (looking === undefined) continue
      asked++
      await looking
    }
    // Every 64 MiB, more often only when the second is over or the disk nearly full.
    expect(asked).toBeGreaterThan(0)
    expect(asked).toBeLessThan(1024)
  })
})

describeWithSmallDisk('on a disk that nobody else writes to', () => {
  it('takes the last byte above the reserve, and not one more', async () => {
    const disk = await mountSmallDisk(8 * MiB)
    try {
      const { bavail, bsize } = await statfs(disk.path)
      const room = new DiskReserve(disk.path, { reserve: bavail * bsize - MiB })
      await room.admit(MiB)
      await expect(room.admit(MiB + 1)).rejects.toMatchObject(full)
      await expect(new DiskReserve(disk.path, { reserve: bavail * bsize }).admit(0)).rejects.toMatchObject(full)
    } finally {
      await disk.close()
    }
  })
})

describeWithSmallDisk('on a disk that clients have filled to its reserve', () => {
  let disk: SmallDisk
  let registry: Registry
  let close: () => Promise<void>

  beforeEach(async () => {
    disk = await mountSmallDisk(96 * MiB)
    const root = join(disk.path, 'data')
    const storage = await openStorage(root, { reserve: 40 * MiB })
    const metadata = await openMetadata(join(root, 'metadata'))
    const { staging, blobs: files, room } = storage
    const components = { metadata, staging, files, room, dags: new UnixfsDagBuilder(), clock: Date, log: silent }
    const opened = await openRegistry(components, { graceMs: 0 })
    registry = opened.registry
    close = async () => {
      await opened.close()
      await metadata.close()
      await storage.close()
    }
  })
  afterEach(async () => {
    await close()
    await disk.close()
  })

  it('a body whose length does not fit is refused unread, others are taken', async () => {
    const { id } = await registry.startUpload('a', 'sha256')
    const body = counted(80 * MiB)
    const refused = registry.appendUpload('a', id, { bytes: body.bytes, length: 80 * MiB })
    await expect(refused).rejects.toMatchObject(full)
    expect(body.taken).toBe(0)
    const bytes = randomBytes(3 * MiB)
    expect(await registry.appendUpload('a', id, { bytes: chunks(bytes), length: 3 * MiB })).toEqual({
      id,
      size: 3 * MiB
    })
  })

  it('a stream ends where the reserve begins, its session goes on when there is room', async () => {
    const { id } = await registry.startUpload('a', 'sha256')
    const body = counted(200 * MiB)
    await expect(registry.appendUpload('a', id, { bytes: body.bytes })).rejects.toMatchObject(full)
    const { bavail, bsize } = await statfs(disk.path)
    // At most a stride of 1 MiB and what the ring held, 16 MiB when the disk is slow.
    expect(bavail * bsize).toBeGreaterThan(23 * MiB)
    expect(bavail * bsize).toBeLessThan(46 * MiB)
    const { size } = await registry.uploadStatus('a', id)
    expect(size).toBeGreaterThan(40 * MiB)
    await expect(
      registry.appendUpload('a', id, { bytes: chunks(randomBytes(MiB)), start: size })
    ).rejects.toMatchObject(full)
    expect(await registry.uploadStatus('a', id)).toEqual({ id, size })
    await registry.cancelUpload('a', id)
    await pushBlob(registry, 'a', randomBytes(MiB))
  })

  it('a body that is sent again has the room of what it takes the place of', async () => {
    const { id } = await registry.startUpload('a', 'sha256')
    const bytes = randomBytes(40 * MiB)
    const first = { bytes: chunks(bytes.subarray(0, 38 * MiB)), length: bytes.length, offset: 0 }
    await expect(registry.appendUpload('a', id, first)).rejects.toMatchObject({ reason: 'SIZE_INVALID' })
    const more = counted(60 * MiB)
    const refused = registry.appendUpload('a', id, { bytes: more.bytes, length: 60 * MiB, offset: 0 })
    await expect(refused).rejects.toMatchObject(full)
    expect(await registry.uploadStatus('a', id)).toEqual({ id, size: 38 * MiB })
    const again = { bytes: chunks(bytes), length: bytes.length, offset: 0 }
    expect(await registry.appendUpload('a', id, again)).toEqual({ id, size: bytes.length })
    const digest = digestOf(bytes)
    expect(await registry.finishUpload('a', id, digest, undefined)).toMatchObject({ digest })
  })

  it('pushes are refused while deletions and garbage collection work, and are taken after them', async () => {
    const image = await pushImage(registry, 'a', 'v1', [20 * MiB])
    const stray = await pushBlob(registry, 'a', randomBytes(20 * MiB))
    // Another tenant of the disk: not even the reserve is whole now.
    await disk.fill(8 * MiB)
    await expect(registry.startUpload('a', 'sha256')).rejects.toMatchObject(full)
    const put = registry.putManifest('a', { bytes: image.manifest, mediaType: '', tags: ['v2'] })
    await expect(put).rejects.toMatchObject(full)
    for (let round = 0; round < 200; round++)
      await expect(registry.startUpload('a', 'sha256')).rejects.toMatchObject(full)

    await registry.deleteBlob('a', stray)
    await registry.deleteTag('a', 'v1')
    await registry.deleteManifest('a', image.digest)
    expect(await registry.collectGarbage()).toMatchObject({ blobs: 3 })
    await expect(registry.startUpload('a', 'sha256')).resolves.toBeDefined()
    await pushImage(registry, 'a', 'v3', [MiB])
  })
})

describeWithSmallDisk('a node on a disk filled to its reserve', () => {
  let disk: SmallDisk
  let node: Pinnace

  beforeEach(async () => {
    disk = await mountSmallDisk(128 * MiB)
    node = await startPinnace({
      dataDir: join(disk.path, 'data'),
      config: { ipfs: { reserve: '48MiB', gc: { grace: '0s' } } }
    })
  })
  afterEach(async () => {
    await node?.close()
    await disk.close()
  })

  it('is ready, says 507 with Retry-After to pushes, serves pulls, and is emptied by clients', async () => {
    const bytes = randomBytes(30 * MiB)
    const digest = digestOf(bytes)
    const post = (body: Uint8Array<ArrayBuffer>) =>
      fetch(`${node.url}/v2/a/blobs/uploads/?digest=${digestOf(body)}`, { method: 'POST', body })
    expect((await post(new Uint8Array(bytes))).status).toBe(201)
    await disk.fill(16 * MiB)
    const refused = await post(new Uint8Array(randomBytes(MiB)))
    expect(refused.status).toBe(507)
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(await refused.json()).toMatchObject({ errors: [{ code: 'UNAVAILABLE' }] })
    expect((await fetch(`${node.url}/readyz`)).status).toBe(200)
    const pulled = Buffer.from(await (await fetch(`${node.url}/v2/a/blobs/${digest}`)).arrayBuffer())
    expect(pulled.equals(bytes)).toBe(true)
    expect((await fetch(`${node.url}/v2/a/blobs/${digest}`, { method: 'DELETE' })).status).toBe(202)
    expect(JSON.parse((await node.pinnace(['gc', '--json'])).stdout)).toMatchObject({ blobs: 1 })
    await disk.empty()
    expect((await post(new Uint8Array(randomBytes(MiB)))).status).toBe(201)
  })
})
