import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HashPool } from '../../src/storage/hash-pool.ts'
import { Ring } from '../../src/storage/ring.ts'
import { StagedHash } from '../../src/storage/staged-hash.ts'
import { contentOf, pattern } from '../contract/upload-staging.ts'

const MiB = 1 << 20

describe('a staged hash', () => {
  const ring = new Ring(2)
  let folder: string
  let pool: HashPool
  let path: string
  let hash: StagedHash

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-staged-hash-'))
    path = join(folder, 'up')
    await writeFile(path, pattern)
    pool = new HashPool(ring.memory)
    hash = new StagedHash(pool, path, 'sha256')
  })
  afterEach(async () => {
    hash.drop()
    await pool.close()
    await rm(folder, { recursive: true })
  })

  async function update(from: number, to: number, more = false): Promise<void> {
    for (let at = from; at < to; at += MiB) {
      const slot = await ring.acquire()
      const part = pattern.subarray(at, Math.min(to, at + MiB))
      slot.bytes.set(part)
      await new Promise<void>(resolve => hash.update(slot, part.length, more, resolve))
      ring.release(slot)
    }
  }

  it.each([
    ['in place', 400, 1000],
    ['in place, then in a worker', 400, 3 * MiB],
    ['in a worker', 2 * MiB + 5, 4 * MiB],
    ['in a worker, at a leaf', 2 * MiB, 4 * MiB + 1]
  ])('goes back to its mark without the file, %s', async (_, mark, end) => {
    await update(0, mark)
    hash.mark()
    await update(mark, end)
    expect(hash.size).toBe(end)
    // What the worker had to read, it has read.
    expect(await hash.content()).toEqual(contentOf(pattern.subarray(0, end)))
    await truncate(path, 0)
    expect(hash.rewind(mark + 1)).toBe(false)
    for (let times = 0; times < 2; times++) {
      expect(hash.rewind(mark)).toBe(true)
      expect(hash.size).toBe(mark)
      expect(await hash.content()).toEqual(contentOf(pattern.subarray(0, mark)))
      await update(mark, mark + 100)
      expect(await hash.content()).toEqual(contentOf(pattern.subarray(0, mark + 100)))
    }
    expect(hash.rewind(0)).toBe(true)
    expect(await hash.content()).toEqual(contentOf(Buffer.of()))
    await update(0, 70)
    expect(hash.rewind(mark)).toBe(false)
    expect(await hash.content()).toEqual(contentOf(pattern.subarray(0, 70)))
  })

  it('goes back to its start also after it was dropped', async () => {
    await update(0, 2 * MiB)
    hash.drop()
    expect(hash.rewind(2 * MiB)).toBe(false)
    expect(hash.alive).toBe(false)
    expect(hash.rewind(0)).toBe(true)
    expect(hash.alive).toBe(true)
    await update(0, 3)
    expect(await hash.content()).toEqual(contentOf(pattern.subarray(0, 3)))
  })
})
