import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { openMetadata } from '../../src/metadata/open.ts'
import type { LevelMetadata } from '../../src/metadata/store.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { collect } from '../contract/metadata-store.ts'
import { describeWithSmallDisk, mountSmallDisk, type SmallDisk } from '../small-disk.ts'

const MEBIBYTE = 1024 * 1024

describeWithSmallDisk('metadata on a full disk', () => {
  let disk: SmallDisk
  let folder: string
  let store: LevelMetadata

  beforeAll(async () => {
    disk = await mountSmallDisk(96 * MEBIBYTE)
  })
  afterAll(() => disk.close())
  beforeEach(async () => {
    folder = join(disk.path, 'metadata')
    // A cache would answer in the database's place.
    store = await openMetadata(folder, { cacheBytes: 0 })
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true })
    await disk.empty()
  })

  const acknowledged = new Map<Digest, Buffer>()
  const rejected = new Set<Digest>()
  let count = 0

  /** Commits manifests of this size, eight at once, until one is rejected. */
  async function commitUntilFull(size: number): Promise<void> {
    const before = rejected.size
    while (rejected.size === before) {
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          const bytes = Buffer.alloc(size)
          // Nothing that would compress away.
          for (let at = 0, seed = ++count; at + 4 <= size; at += 4) {
            seed = Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) + at
            bytes.writeInt32LE(seed | 0, at)
          }
          const digest = digestOf(bytes)
          try {
            await store.commit([
              { type: 'putManifest', digest, bytes },
              { type: 'putTag', repository: 'r', tag: `t${count}`, record: { digest, at: count } }
            ])
            acknowledged.set(digest, bytes)
          } catch (error) {
            expect(error).toHaveProperty('reason', 'STORAGE_FULL')
            rejected.add(digest)
          }
        })
      )
    }
  }

  async function expectExactly(): Promise<void> {
    for (const [digest, bytes] of acknowledged)
      expect(Buffer.compare((await store.manifestBytes(digest)) ?? Buffer.alloc(0), bytes)).toBe(0)
    for (const digest of rejected) expect(await store.manifestBytes(digest)).toBeUndefined()
    expect(await collect(store.manifests())).toEqual([...acknowledged.keys()].sort())
  }

  it.each([
    ['in the log', 1000, 128 * 1024],
    ['in the log, torn by large records', 100_000, 1536 * 1024],
    ['while tables are written', 50_000, 9 * MEBIBYTE]
  ])('rejects, reads on and heals by itself when space runs out %s', async (_, size, spare) => {
    acknowledged.clear()
    rejected.clear()
    for (let round = 0; round < 3; round++) {
      await disk.fill(spare)
      await commitUntilFull(size)
      // Whatever little room LevelDB left or freed.
      await disk.fill(0)
      await commitUntilFull(size)
      await expectExactly()
      await disk.empty()
      await store.commit([
        { type: 'putUpload', id: 'u', record: { repository: 'r', algorithm: 'sha256', startedAt: 1 } }
      ])
      expect(await store.upload('u')).toBeDefined()
      await expectExactly()
      if (round === 1) continue
      await store.close()
      store = await openMetadata(folder, { cacheBytes: 0 })
      await expectExactly()
    }
    expect(acknowledged.size).toBeGreaterThan(0)
    expect(rejected.size).toBeGreaterThan(0)
  })

  it('says so when it cannot be opened for want of space, and opens later', async () => {
    acknowledged.clear()
    rejected.clear()
    await disk.fill(3 * MEBIBYTE)
    await commitUntilFull(50_000)
    await store.close()
    await disk.fill(0)
    await expect(openMetadata(folder)).rejects.toHaveProperty('reason', 'STORAGE_FULL')
    await disk.empty()
    store = await openMetadata(folder, { cacheBytes: 0 })
    for (const [digest] of acknowledged) expect(await store.manifestBytes(digest)).toBeDefined()
  })
})
