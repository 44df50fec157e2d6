import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { mkdtemp, open, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openMetadata } from '../../src/metadata/open.ts'
import type { LevelMetadata } from '../../src/metadata/store.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { collect } from '../contract/metadata-store.ts'

const MEBIBYTE = 1024 * 1024

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
const title = 'metadata on a full disk'

describe.skipIf(!able && !required)(able ? title : `${title} (needs a tmpfs: run as root on Linux)`, () => {
  let point: string
  let folder: string
  let store: LevelMetadata
  let filler: string

  beforeAll(async () => {
    point = await mkdtemp(join(tmpdir(), 'pinnace-full-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${96 * MEBIBYTE}`, 'tmpfs', point])
  })
  afterAll(async () => {
    execFileSync('umount', [point])
    await rmdir(point)
  })
  beforeEach(async () => {
    folder = join(point, 'metadata')
    filler = join(point, 'filler')
    // A cache would answer in the database's place.
    store = await openMetadata(folder, { cacheBytes: 0 })
  })
  afterEach(async () => {
    await store.close()
    await rm(folder, { recursive: true })
    await rm(filler, { force: true })
  })

  /** Takes what is left of the disk, less `spare` bytes. */
  async function fill(spare: number): Promise<void> {
    const file = await open(filler, 'a')
    const block = Buffer.alloc(MEBIBYTE)
    try {
      for (;;) await file.write(block)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
      await file.truncate(Math.max(0, (await file.stat()).size - spare))
    } finally {
      await file.close()
    }
  }

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
      await fill(spare)
      await commitUntilFull(size)
      // Whatever little room LevelDB left or freed.
      await fill(0)
      await commitUntilFull(size)
      await expectExactly()
      await rm(filler)
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
    await fill(3 * MEBIBYTE)
    await commitUntilFull(50_000)
    await store.close()
    await fill(0)
    await expect(openMetadata(folder)).rejects.toHaveProperty('reason', 'STORAGE_FULL')
    await rm(filler)
    store = await openMetadata(folder, { cacheBytes: 0 })
    for (const [digest] of acknowledged) expect(await store.manifestBytes(digest)).toBeDefined()
  })
})
