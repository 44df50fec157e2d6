import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DirectFile } from '../../src/storage/direct-file.ts'
import { Ring, type Slot, slotSize } from '../../src/storage/ring.ts'
import { body, contentOf, expectBytes, pattern } from '../contract/upload-staging.ts'
import { storageSubject } from './storage-subject.ts'

const MiB = 1 << 20

describe('DirectFile', () => {
  const ring = new Ring(3)
  let folder: string
  let path: string
  let slots: Slot[]
  let file: DirectFile

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-direct-'))
    path = join(folder, 'file')
    await writeFile(path, '')
    slots = [await ring.acquire(), await ring.acquire(), await ring.acquire()]
    for (const [index, { bytes }] of slots.entries()) bytes.set(pattern.subarray(index * MiB, (index + 1) * MiB))
    file = new DirectFile(path, MiB)
  })
  afterEach(async () => {
    await file.close()
    for (const slot of slots) ring.release(slot)
    await rm(folder, { recursive: true })
  })
  const whole = () => slots.map(slot => slot.bytes)

  it('writes whole slots, or says that it wrote nothing', async () => {
    const written = await file.writev(whole(), 2 * MiB)
    expect([0, 3 * MiB]).toContain(written)
    expectBytes((await readFile(path)).subarray(2 * MiB), pattern.subarray(0, written))
  })

  it('leaves the start of the file, odd positions and what follows a partial slot to the page cache', async () => {
    expect(await file.writev(whole(), 0)).toBe(0)
    expect(await file.writev(whole(), MiB + 512)).toBe(0)
    const [first, second] = whole()
    if (first === undefined || second === undefined) throw new Error('no slots')
    expect(await file.writev([first.subarray(0, 4096), second], MiB)).toBe(0)
    expect([0, MiB]).toContain(await file.writev([first, second.subarray(0, 4096)], MiB))
  })

  it('gives up for good when the memory is not aligned as the system wants', async () => {
    const odd = Buffer.from(new ArrayBuffer(2 * slotSize), 1, slotSize)
    const written = await file.writev([odd], MiB)
    // Some file systems take any memory.
    if (written === 0) expect(await file.writev(whole(), MiB)).toBe(0)
    else expect(written).toBe(MiB)
  })

  it('writes nothing to a file that cannot be opened', async () => {
    const missing = new DirectFile(join(folder, 'missing'), 0)
    expect(await missing.writev(whole(), 0)).toBe(0)
    await missing.close()
  })
})

describe('an upload larger than what is left to the page cache', () => {
  it.each([
    ['whole', false],
    ['to be read back', true]
  ])('is %s what was sent, appended at odd places', async (_, readBack) => {
    const subject = await storageSubject()
    const large = Buffer.concat([pattern, pattern.subarray(1), pattern.subarray(2)])
    const cuts = [0, 8 * MiB + 3, 11 * MiB, 14 * MiB + 4096, large.length]
    try {
      await subject.staging.create('up', 'sha256')
      for (const [index, from] of cuts.slice(0, -1).entries())
        await subject.staging.append('up', body(large.subarray(from, cuts[index + 1])), { readBack })
      const content = await subject.staging.content('up', 'sha256')
      expect(content).toEqual(contentOf(large))
      const buffer = Buffer.alloc(large.length)
      expect(await subject.staging.read('up', buffer, 0)).toBe(large.length)
      expectBytes(buffer, large)
      await subject.staging.sync('up')
      await subject.staging.place('up', content.digest)
      const file = await subject.blobs.open(content.digest)
      expectBytes(await file?.pread(0, large.length), large)
      await file?.close()
    } finally {
      await subject.teardown()
    }
  })
})
