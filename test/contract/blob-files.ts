/**
 * What every implementation of {@link BlobFiles} must do. Adopt it by one call, with the staging that fills it:
 * `blobFilesContract({ setup: async () => ({ staging, blobs, reopen, teardown }) })`.
 *
 * @module
 */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import type { BlobFile, BlobFiles } from '../../src/registry/ports.ts'
import {
  body,
  bytesOf,
  expectBytes,
  pattern,
  type StorageContract,
  type StorageSubject,
  store
} from './upload-staging.ts'

const MiB = 1 << 20
const absent = digestOf(Buffer.from('never stored'))

class Cancelled extends Error {}

export function blobFilesContract({ setup }: StorageContract): void {
  let subject: StorageSubject
  let blobs: BlobFiles
  let digest: Digest
  let file: BlobFile

  const reopenFile = async (of: Digest): Promise<BlobFile> => {
    const opened = await blobs.open(of)
    if (opened === undefined) throw new Error('the blob is not there')
    return opened
  }

  beforeEach(async () => {
    subject = await setup()
    blobs = subject.blobs
    digest = await store(subject, 'setup', pattern)
    file = await reopenFile(digest)
  })
  afterEach(async () => {
    await file.close()
    await subject.teardown()
  })

  it('opens only what is there', async () => {
    expect(await blobs.open(absent)).toBeUndefined()
    expect(file.size).toBe(pattern.length)
  })

  it('keeps sha256 and sha512 apart', async () => {
    const wide = digestOf(pattern, 'sha512')
    expect(await blobs.open(wide)).toBeUndefined()
    await subject.staging.create('wide', 'sha512')
    await subject.staging.append('wide', body(pattern))
    await subject.staging.place('wide', wide)
    expectBytes(await bytesOf(blobs, wide), pattern)
    expectBytes(await bytesOf(blobs, digest), pattern)
  })

  it('gives a file one identity until it is another', async () => {
    const again = await reopenFile(digest)
    expect(again.identity).toBe(file.identity)
    await again.close()
    await store(subject, 'again', pattern)
    const replaced = await reopenFile(digest)
    expect(replaced.identity).not.toBe(file.identity)
    await replaced.close()
  })

  describe('pread', () => {
    it('gives any range, cut at the end of the file', async () => {
      await fc.assert(
        fc.asyncProperty(fc.nat(pattern.length + 10), fc.nat(2 * MiB), async (offset, length) => {
          const expected = pattern.subarray(offset, offset + length)
          expectBytes(await file.pread(offset, length), expected)
        }),
        { numRuns: 50 }
      )
    })

    it('gives bytes of its own to concurrent readers', async () => {
      const parts = await Promise.all([0, 1, 2, 3, 4, 5].map(leaf => file.pread(leaf * MiB, MiB)))
      expectBytes(Buffer.concat(parts), pattern)
    })

    it('stops when aborted', async () => {
      await expect(file.pread(0, 10, { signal: AbortSignal.abort(new Cancelled()) })).rejects.toThrow(Cancelled)
    })

    it.each([
      [-1, 10],
      [0, -1],
      [0.5, 1],
      [0, Number.NaN]
    ])('refuses offset %d, length %d', async (offset, length) => {
      await expect(file.pread(offset, length)).rejects.toThrow(RangeError)
    })
  })

  describe('stream', () => {
    it('gives any range, in chunks that need to live only until the next', async () => {
      await fc.assert(
        fc.asyncProperty(fc.nat(pattern.length + 10), fc.nat(pattern.length + 10), async (start, end) => {
          const chunks: Buffer[] = []
          for await (const chunk of file.stream({ start, end })) {
            expect(chunk.length).toBeGreaterThan(0)
            expect(chunk.length).toBeLessThanOrEqual(4 * MiB)
            chunks.push(Buffer.from(chunk))
          }
          expectBytes(Buffer.concat(chunks), pattern.subarray(start, Math.max(start, end)))
        }),
        { numRuns: 40 }
      )
    })

    it('leaves a chunk alone while its reader takes time, others reading meanwhile', async () => {
      const slow = file.stream({ start: 0, end: pattern.length })[Symbol.asyncIterator]()
      const first = await slow.next()
      for (let round = 0; round < 3; round++)
        for await (const chunk of file.stream({ start: MiB, end: pattern.length }))
          expect(chunk.length).toBeGreaterThan(0)
      if (first.done === true) throw new Error('the stream is empty')
      expectBytes(first.value, pattern.subarray(0, first.value.length))
      await slow.return?.()
    })

    it('serves many at once', async () => {
      const sizes = await Promise.all(
        Array.from({ length: 60 }, async () => {
          let size = 0
          for await (const chunk of file.stream({ start: 0, end: pattern.length })) {
            expectBytes(chunk, pattern.subarray(size, size + chunk.length))
            size += chunk.length
          }
          return size
        })
      )
      expect(new Set(sizes)).toEqual(new Set([pattern.length]))
    })

    it('can be left early, and the file closed under it', async () => {
      for await (const _ of file.stream({ start: 0, end: pattern.length })) break
      const other = await reopenFile(digest)
      const left = other.stream({ start: 0, end: pattern.length })[Symbol.asyncIterator]()
      await left.next()
      await left.return?.()
      await other.close()
    })

    it('stops when aborted, before and in the middle', async () => {
      const controller = new AbortController()
      const read = async () => {
        for await (const _ of file.stream({ start: 0, end: pattern.length }, { signal: controller.signal }))
          controller.abort(new Cancelled())
      }
      await expect(read()).rejects.toThrow(Cancelled)
      await expect(read()).rejects.toThrow(Cancelled)
    })
  })

  describe('remove', () => {
    it('takes the blob away, again and again', async () => {
      await blobs.remove(digest)
      expect(await blobs.open(digest)).toBeUndefined()
      await blobs.remove(digest)
      await blobs.remove(absent)
    })

    it('leaves whoever reads the file alone', async () => {
      await blobs.remove(digest)
      expectBytes(await file.pread(0, pattern.length), pattern)
    })
  })

  it('quarantines a file under a path of its own, each time', async () => {
    const first = await blobs.quarantine(digest)
    expect(await blobs.open(digest)).toBeUndefined()
    expect(await blobs.quarantine(digest)).toBeUndefined()
    await store(subject, 'again', pattern)
    const second = await blobs.quarantine(digest)
    expect(first).toMatchObject({ digest, size: pattern.length })
    expect(first?.path.endsWith(`/${first.name}`)).toBe(true)
    expect(first?.name).toContain(digest.slice('sha256:'.length))
    expect(second?.name).not.toBe(first?.name)
  })

  it('lists what was put aside, files and bytes, and removes it by name only', async () => {
    const file = await blobs.quarantine(digest)
    const bytes = await blobs.quarantineBytes(absent, Buffer.from('rotten'))
    const listed: string[] = []
    for await (const { name, size } of blobs.listQuarantined()) listed.push(`${name} ${size}`)
    expect(listed.sort()).toEqual([`${file?.name} ${pattern.length}`, `${bytes.name} 6`].sort())
    expect(await blobs.quarantined(bytes.name)).toMatchObject({ digest: absent, size: 6, path: bytes.path })
    for (const name of [
      '',
      '.',
      '..',
      '../layout',
      `../quarantine/${bytes.name}`,
      'no such',
      'x'.repeat(300),
      'a\0b'
    ]) {
      expect(await blobs.quarantined(name)).toBeUndefined()
      expect(await blobs.removeQuarantined(name)).toBe(false)
    }
    expect(await blobs.removeQuarantined(bytes.name)).toBe(true)
    expect(await blobs.removeQuarantined(bytes.name)).toBe(false)
    expect(await blobs.quarantined(file?.name ?? '')).toMatchObject({ digest })
  })

  it('lists every blob and no session', async () => {
    const expected = new Map<string, number>([[digest, pattern.length]])
    for (let index = 0; index < 30; index++) {
      const bytes = Buffer.from(`blob ${index}`)
      expected.set(await store(subject, `list${index}`, bytes), bytes.length)
    }
    await subject.staging.create('open', 'sha256')
    const listed: [string, number][] = []
    for await (const entry of blobs.list()) listed.push([entry.digest, entry.size])
    expect(listed.length).toBe(expected.size)
    expect(new Map(listed)).toEqual(expected)
    const aborted = AbortSignal.abort(new Cancelled())
    await expect(blobs.list({ signal: aborted })[Symbol.asyncIterator]().next()).rejects.toThrow(Cancelled)
  })

  it('syncs a place that files were renamed into, by as many as ask', async () => {
    await Promise.all(Array.from({ length: 20 }, () => blobs.syncPlace(digest)))
  })

  it('probes the folder and leaves nothing behind', async () => {
    await Promise.all([blobs.probe(), blobs.probe()])
    await blobs.probe()
    await expect(blobs.probe({ signal: AbortSignal.abort(new Cancelled()) })).rejects.toThrow(Cancelled)
    const listed: unknown[] = []
    for await (const session of subject.staging.list()) listed.push(session)
    expect(listed).toEqual([])
  })
}
