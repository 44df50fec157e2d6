/**
 * What every implementation of {@link UploadStaging} must do. Adopt it by one call:
 * `uploadStagingContract({ setup: async () => ({ staging, blobs, reopen, teardown }) })`.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { mkdtemp, rmdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Digest, type DigestAlgorithm, digestOf } from '../../src/oci/digest.ts'
import type { BlobFiles, StagedContent, UploadStaging } from '../../src/registry/ports.ts'

export interface StorageSubject {
  staging: UploadStaging
  blobs: BlobFiles
  /** Closes and opens again over the same data, as a restart does. */
  reopen(): Promise<StorageSubject>
  teardown(): Promise<void>
}

export interface StorageContract {
  setup(): Promise<StorageSubject>
}

const MiB = 1 << 20

/** Bytes that differ at every distance a wrong offset could be off by. */
export const pattern = Buffer.alloc(6 * MiB)
for (let at = 0; at < pattern.length; at += 4) pattern.writeUInt32LE(Math.imul(at ^ 0x5bd1e995, 0x9e3779b1) >>> 0, at)

/** What one pass over bytes in memory has to find, by node:crypto alone. */
export function contentOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): StagedContent {
  const leaves: Buffer[] = []
  for (let at = 0; at === 0 || at < bytes.length; at += MiB)
    leaves.push(
      createHash('sha256')
        .update(bytes.subarray(at, at + MiB))
        .digest()
    )
  return { size: bytes.length, digest: digestOf(bytes, algorithm), leaves: new Uint8Array(Buffer.concat(leaves)) }
}

/** A body cut into chunks of the given length, each in a buffer that is overwritten once it was taken. */
export async function* body(bytes: Uint8Array, chunk = 65_536): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(chunk)
  for (let at = 0; at < bytes.length; at += chunk) {
    const part = bytes.subarray(at, at + chunk)
    buffer.set(part)
    yield buffer.subarray(0, part.length)
    buffer.fill(0xee)
  }
}

/** Vitest's own comparison takes seconds for megabytes. */
export function expectBytes(actual: Uint8Array | undefined, expected: Uint8Array): void {
  expect(actual?.length).toBe(expected.length)
  expect(actual !== undefined && Buffer.compare(actual, expected) === 0).toBe(true)
}

export async function bytesOf(blobs: BlobFiles, digest: Digest): Promise<Buffer | undefined> {
  const file = await blobs.open(digest)
  if (file === undefined) return undefined
  try {
    const chunks: Buffer[] = []
    for await (const chunk of file.stream({ start: 0, end: file.size })) chunks.push(Buffer.from(chunk))
    return Buffer.concat(chunks)
  } finally {
    await file.close()
  }
}

/** Stages, checks nothing and places: how a blob gets there. */
export async function store(subject: StorageSubject, id: string, bytes: Uint8Array): Promise<Digest> {
  await subject.staging.create(id, 'sha256')
  await subject.staging.append(id, body(bytes))
  await subject.staging.sync(id)
  const digest = digestOf(bytes)
  await subject.staging.place(id, digest)
  return digest
}

class BodyFailed extends Error {}

/** One append of the property below: where it goes, lengths of chunks, and how the body ends. */
interface Step {
  /** Thousandths of what is staged that stay; behind all of it by default. */
  at: number | undefined
  chunks: number[]
  end: 'whole' | 'error' | 'abort' | 'nodeStream'
  reopen: boolean
}

const lengths = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 3000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 300_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(MiB - 1, MiB, MiB + 1, 65_536) }
)
const steps = fc.array(
  fc.record<Step>({
    at: fc.option(fc.oneof(fc.constantFrom(0, 1000), fc.integer({ min: 0, max: 1000 })), { nil: undefined }),
    chunks: fc.array(lengths, { maxLength: 6 }),
    end: fc.constantFrom('whole', 'whole', 'nodeStream', 'error', 'abort'),
    reopen: fc.boolean()
  }),
  { maxLength: 6 }
)

/**
 * Appends what the pattern has at the number of the step and on, ending the body as the step says; returns what is staged then.
 * What takes the place of other bytes so differs from them.
 */
async function take(staging: UploadStaging, id: string, step: Step, number: number, before: Buffer): Promise<Buffer> {
  const offset = step.at === undefined ? before.length : Math.floor((before.length * step.at) / 1000)
  const controller = new AbortController()
  async function* chunks(): AsyncGenerator<Uint8Array> {
    let at = number
    for (const length of step.chunks) {
      yield Buffer.from(pattern.subarray(at, at + length))
      at = Math.min(pattern.length, at + length)
    }
    if (step.end === 'error') throw new BodyFailed('client went away')
    if (step.end === 'abort') {
      controller.abort(new BodyFailed('client went away'))
      await new Promise(() => {})
    }
  }
  const bytes = step.end === 'nodeStream' ? Readable.from(chunks(), { objectMode: false }) : chunks()
  const place = step.at === undefined ? {} : { at: offset }
  const append = staging.append(id, bytes, { ...place, signal: controller.signal })
  const offered = step.chunks.reduce((sum, length) => sum + length, 0)
  // A body without a byte takes nothing away.
  const kept = offered === 0 ? before : before.subarray(0, offset)
  const after = Buffer.concat([kept, pattern.subarray(number, number + offered)])
  if (step.end === 'whole' || step.end === 'nodeStream') expect(await append).toBe(after.length)
  else await expect(append).rejects.toBeInstanceOf(BodyFailed)
  expect(await staging.size(id)).toBe(after.length)
  return after
}

export function uploadStagingContract({ setup }: StorageContract): void {
  let subject: StorageSubject
  let staging: UploadStaging

  beforeEach(async () => {
    subject = await setup()
    staging = subject.staging
  })
  afterEach(() => subject.teardown())

  describe('content', () => {
    it.each([0, 1, MiB - 1, MiB, MiB + 1, 2 * MiB, 4 * MiB + 7])('of %i bytes', async size => {
      const bytes = pattern.subarray(0, size)
      await staging.create('up', 'sha256')
      expect(await staging.append('up', body(bytes))).toBe(size)
      expect(await staging.content('up', 'sha256')).toEqual(contentOf(bytes))
      // Asking takes nothing away.
      expect(await staging.content('up', 'sha256')).toEqual(contentOf(bytes))
    })

    it.each([0, 5, MiB, 3 * MiB + 5])('of %i bytes under sha512, announced or not, and as sha256', async size => {
      const bytes = pattern.subarray(0, size)
      for (const announced of ['sha512', 'sha256'] as const) {
        await staging.create(announced, announced)
        await staging.append(announced, body(bytes))
        expect(await staging.content(announced, 'sha512')).toEqual(contentOf(bytes, 'sha512'))
        expect(await staging.content(announced, 'sha256')).toEqual(contentOf(bytes))
      }
    })

    it('of a session nothing was sent to', async () => {
      await staging.create('up', 'sha256')
      const { size, leaves } = await staging.content('up', 'sha256')
      expect(size).toBe(0)
      expect(Buffer.from(leaves).toString('hex')).toBe(createHash('sha256').digest('hex'))
    })

    it('is the same however the bytes came, broke off and came again', async () => {
      await fc.assert(
        fc.asyncProperty(steps, fc.constantFrom<DigestAlgorithm>('sha256', 'sha512'), async (run, algorithm) => {
          await staging.create('up', algorithm)
          try {
            let staged: Buffer = Buffer.of()
            for (const [number, step] of run.entries()) {
              staged = await take(staging, 'up', step, number, staged)
              if (step.reopen) {
                subject = await subject.reopen()
                staging = subject.staging
              }
            }
            const expected = contentOf(staged, algorithm)
            expect(await staging.content('up', algorithm)).toEqual(expected)
            await staging.sync('up')
            await staging.place('up', expected.digest)
            expectBytes(await bytesOf(subject.blobs, expected.digest), staged)
          } finally {
            await staging.discard('up')
          }
        }),
        { numRuns: 60 }
      )
    })

    it('stops when aborted', async () => {
      await staging.create('up', 'sha256')
      await staging.append('up', body(pattern))
      await expect(staging.content('up', 'sha512', { signal: AbortSignal.abort(new BodyFailed()) })).rejects.toThrow(
        BodyFailed
      )
    })
  })

  describe('append', () => {
    it('keeps sessions apart while they run at once', async () => {
      const sizes = [3, 200_000, MiB, MiB + 1, 3 * MiB, 5 * MiB + 3, 2 * MiB, 999_999]
      await Promise.all(
        sizes.map(async (size, index) => {
          const bytes = pattern.subarray(index, index + size)
          await staging.create(`up${index}`, 'sha256')
          await staging.append(`up${index}`, body(bytes, 10_000 + index))
          expect(await staging.content(`up${index}`, 'sha256')).toEqual(contentOf(bytes))
        })
      )
    })

    it('goes on for others while many clients stall in the middle of a body', async () => {
      const stalled = new AbortController()
      async function* stalling(): AsyncGenerator<Uint8Array> {
        yield pattern.subarray(0, 1000)
        await new Promise(() => {})
      }
      const stalling64 = Array.from({ length: 64 }, async (_, index) => {
        await staging.create(`stalled${index}`, 'sha256')
        await staging.append(`stalled${index}`, stalling(), { signal: stalled.signal })
      })
      const settled = Promise.allSettled(stalling64)
      await staging.create('up', 'sha256')
      await staging.append('up', body(pattern))
      expect(await staging.content('up', 'sha256')).toEqual(contentOf(pattern))
      stalled.abort(new BodyFailed())
      for (const result of await settled) expect(result).toMatchObject({ status: 'rejected' })
      for (const index of [0, 31, 63]) expect(await staging.size(`stalled${index}`)).toBe(1000)
    })

    it('takes no more than its limit and keeps what fits', async () => {
      await staging.create('up', 'sha256')
      expect(await staging.append('up', body(pattern.subarray(0, 10)), { limit: 10 })).toBe(10)
      const more = staging.append('up', body(pattern.subarray(10, 30), 7), { limit: 9 })
      await expect(more).rejects.toMatchObject({ reason: 'SIZE_INVALID' })
      expect(await staging.size('up')).toBe(19)
      expect(await staging.content('up', 'sha256')).toEqual(contentOf(pattern.subarray(0, 19)))
    })

    it('goes behind the bytes it is told to keep, and hashes what is there then', async () => {
      const other = Buffer.from(pattern.subarray(7))
      for (const [size, at] of [
        [1000, 0],
        [1000, 999],
        [MiB + 5, 0],
        [2 * MiB, MiB],
        [3 * MiB + 9, 2 * MiB + 1],
        [3 * MiB + 9, 3 * MiB + 9]
      ] as const) {
        const id = `up${size}-${at}`
        await staging.create(id, 'sha256')
        // The append before began there, or elsewhere.
        await staging.append(id, body(pattern.subarray(0, at)))
        await staging.append(id, body(pattern.subarray(at, size)), { at })
        expect(await staging.append(id, body(other.subarray(0, 500)), { at })).toBe(at + 500)
        const expected = Buffer.concat([pattern.subarray(0, at), other.subarray(0, 500)])
        expect(await staging.content(id, 'sha256')).toEqual(contentOf(expected))
        const half = Math.floor(at / 2)
        expect(await staging.append(id, body(other), { at: half })).toBe(half + other.length)
        const whole = Buffer.concat([pattern.subarray(0, half), other])
        expect(await staging.content(id, 'sha256')).toEqual(contentOf(whole))
        await staging.sync(id)
        await staging.place(id, digestOf(whole))
        expectBytes(await bytesOf(subject.blobs, digestOf(whole)), whole)
      }
    })

    it('takes nothing away for a body that has no byte, or fails before it', async () => {
      await staging.create('up', 'sha256')
      await staging.append('up', body(pattern))
      expect(await staging.append('up', body(Buffer.of()), { at: 0 })).toBe(pattern.length)
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield Buffer.of()
        throw new BodyFailed()
      }
      await expect(staging.append('up', failing(), { at: 5 })).rejects.toThrow(BodyFailed)
      const aborted = AbortSignal.abort(new BodyFailed())
      await expect(staging.append('up', body(pattern), { at: 5, signal: aborted })).rejects.toThrow(BodyFailed)
      expect(await staging.content('up', 'sha256')).toEqual(contentOf(pattern))
    })

    it('refuses to go behind bytes that it has not', async () => {
      await staging.create('up', 'sha256')
      await staging.append('up', body(pattern.subarray(0, 10)))
      const beyond = staging.append('up', body(pattern), { at: 11 })
      await expect(beyond).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_OUT_OF_ORDER', detail: { size: 10 } })
      expect(await staging.content('up', 'sha256')).toEqual(contentOf(pattern.subarray(0, 10)))
    })

    it('leaves a Node stream that it stops reading undestroyed, and tells any other body to return', async () => {
      await staging.create('up', 'sha256')
      const stream = Readable.from(body(pattern), { objectMode: false })
      await expect(staging.append('up', stream, { limit: 100 })).rejects.toMatchObject({ reason: 'SIZE_INVALID' })
      expect(stream.destroyed).toBe(false)
      stream.destroy()
      let returned = false
      async function* watched(): AsyncGenerator<Uint8Array> {
        try {
          yield* body(pattern)
        } finally {
          returned = true
        }
      }
      await expect(staging.append('up', watched(), { limit: 100 })).rejects.toMatchObject({ reason: 'SIZE_INVALID' })
      expect(returned).toBe(true)
    })

    it('does nothing when aborted before', async () => {
      await staging.create('up', 'sha256')
      const aborted = AbortSignal.abort(new BodyFailed())
      await expect(staging.append('up', body(pattern), { signal: aborted })).rejects.toThrow(BodyFailed)
      expect(await staging.size('up')).toBe(0)
    })

    it('fails with a Node stream that was destroyed before its end', async () => {
      await staging.create('up', 'sha256')
      const stream = Readable.from(body(pattern), { objectMode: false })
      stream.destroy(new BodyFailed())
      stream.on('error', () => {})
      await expect(staging.append('up', stream)).rejects.toThrow(BodyFailed)
    })
  })

  describe('sessions', () => {
    it.each(['unknown', '../blobs', '', '.', 'a/b', 'a\0b', 'x'.repeat(200)])('there is none called %j', async id => {
      const unknown = { reason: 'BLOB_UPLOAD_UNKNOWN' }
      expect(await staging.size(id)).toBeUndefined()
      await expect(staging.append(id, body(pattern))).rejects.toMatchObject(unknown)
      await expect(staging.content(id, 'sha256')).rejects.toMatchObject(unknown)
      await expect(staging.sync(id)).rejects.toMatchObject(unknown)
      await expect(staging.place(id, digestOf(pattern))).rejects.toMatchObject(unknown)
      await staging.discard(id)
    })

    it('outlive a restart', async () => {
      await staging.create('up', 'sha256')
      await staging.append('up', body(pattern.subarray(0, MiB + 3)))
      ;({ staging } = subject = await subject.reopen())
      expect(await staging.size('up')).toBe(MiB + 3)
      expect(await staging.append('up', body(pattern.subarray(MiB + 3)))).toBe(pattern.length)
      expect(await staging.content('up', 'sha256')).toEqual(contentOf(pattern))
    })

    it('are gone when discarded', async () => {
      await staging.create('up', 'sha256')
      await staging.append('up', body(pattern))
      await staging.discard('up')
      expect(await staging.size('up')).toBeUndefined()
      await expect(staging.append('up', body(pattern))).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_UNKNOWN' })
      await staging.create('up', 'sha256')
      expect(await staging.size('up')).toBe(0)
    })

    it('are never created twice', async () => {
      await staging.create('up', 'sha256')
      await staging.append('up', body(pattern))
      await expect(staging.create('up', 'sha256')).rejects.toThrow()
      expect(await staging.content('up', 'sha256')).toEqual(contentOf(pattern))
    })

    it('are listed with size and age', async () => {
      // By the clock of the file system, which need not be that of this process.
      const probe = await mkdtemp(join(tmpdir(), 'pinnace-clock-'))
      const before = (await stat(probe)).mtimeMs - 5_000
      await rmdir(probe)
      for (const [index, id] of ['one', 'two', 'three'].entries()) {
        await staging.create(id, 'sha256')
        await staging.append(id, body(pattern.subarray(0, index * MiB)))
      }
      const seen = new Map<string, number>()
      for await (const { id, size, modifiedAt } of staging.list()) {
        seen.set(id, size)
        expect(modifiedAt).toBeGreaterThan(before)
      }
      expect(seen).toEqual(new Map([...['one', 'two', 'three'].entries()].map(([index, id]) => [id, index * MiB])))
    })
  })

  describe('place', () => {
    it('makes the staged file the blob and ends the session', async () => {
      const digest = await store(subject, 'up', pattern)
      expectBytes(await bytesOf(subject.blobs, digest), pattern)
      expect(await staging.size('up')).toBeUndefined()
    })

    it('tells the identity of the file it placed', async () => {
      await staging.create('up', 'sha256')
      await staging.append('up', body(pattern))
      await staging.sync('up')
      const identity = await staging.place('up', digestOf(pattern))
      const file = await subject.blobs.open(digestOf(pattern))
      expect(file?.identity).toBe(identity)
      await file?.close()
    })

    it('replaces a blob, and whoever reads the old file goes on', async () => {
      const digest = await store(subject, 'first', pattern)
      const old = await subject.blobs.open(digest)
      await store(subject, 'second', pattern)
      expectBytes(await old?.pread(0, 100), pattern.subarray(0, 100))
      await old?.close()
      expectBytes(await bytesOf(subject.blobs, digest), pattern)
    })

    it('may be repeated after a crash', async () => {
      const digest = await store(subject, 'up', pattern)
      subject = await subject.reopen()
      await subject.staging.place('up', digest)
      expectBytes(await bytesOf(subject.blobs, digest), pattern)
    })

    it('works for many blobs of new folders at once', async () => {
      const digests = await Promise.all(
        Array.from({ length: 40 }, async (_, index) => {
          const digest = await store(subject, `up${index}`, Buffer.from(`blob ${index % 20}`))
          await subject.blobs.syncPlace(digest)
          return digest
        })
      )
      for (const digest of digests) expect((await bytesOf(subject.blobs, digest))?.toString()).toMatch(/^blob/)
    })
  })
}
