import { randomBytes } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Digest, digestOf, encodedOf } from '../../src/oci/digest.ts'
import type { Mutation } from '../../src/registry/ports.ts'
import { chunks, openTemporaryRegistry, pullBlob, pushBlob, type TemporaryRegistry } from './temporary-registry.ts'

const mib = 1024 * 1024
/** Comparing megabytes element by element takes seconds. */
const same = (wanted: Uint8Array) => (read: Buffer) => read.equals(wanted)

let node: TemporaryRegistry

beforeEach(async () => {
  node = await openTemporaryRegistry()
})
afterEach(() => node.close())

const pathOf = (digest: Digest) =>
  join(node.folder, 'blobs', 'sha256', encodedOf(digest).slice(0, 2), encodedOf(digest))

async function flipByte(path: string, offset: number): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, offset)
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 0xff]), 0, 1, offset)
  } finally {
    await file.close()
  }
}

describe('a blob', () => {
  test.each([0, 1, mib - 1, mib, mib + 1, 3 * mib + 7])(
    'of %d bytes comes back, whole and by range, also after a restart',
    async size => {
      const bytes = randomBytes(size)
      const digest = await pushBlob(node.registry, 'a/b', bytes)
      expect(await pullBlob(node.registry, 'a/b', digest)).toSatisfy(same(bytes))
      node = await node.reopen()
      const range = { start: Math.floor(size / 3), end: Math.ceil((size * 2) / 3) }
      expect(await pullBlob(node.registry, 'a/b', digest, range)).toSatisfy(
        same(bytes.subarray(range.start, range.end))
      )
      expect(await pullBlob(node.registry, 'a/b', digest)).toSatisfy(same(bytes))
    }
  )

  test('under sha512, announced or not', async () => {
    const bytes = randomBytes(2 * mib + 5)
    const digest = digestOf(bytes, 'sha512')
    for (const [repository, announced] of [
      ['one', 'sha512'],
      ['two', 'sha256']
    ] as const) {
      const { id } = await node.registry.startUpload(repository, announced)
      await node.registry.appendUpload(repository, id, { bytes: chunks(bytes) })
      await node.registry.finishUpload(repository, id, digest, undefined)
      expect(await pullBlob(node.registry, repository, digest)).toSatisfy(same(bytes))
    }
  })

  test('of another repository is unknown here', async () => {
    const digest = await pushBlob(node.registry, 'private', randomBytes(10))
    for (const ask of [node.registry.statBlob('other', digest), node.registry.openBlob('other', digest)]) {
      await expect(ask).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
    }
  })

  test('CVE-2026-35172: is gone at once when deleted, and comes back only by a push', async () => {
    const bytes = randomBytes(2 * mib)
    const digest = await pushBlob(node.registry, 'a', bytes)
    await pullBlob(node.registry, 'a', digest)
    await node.registry.deleteBlob('a', digest)
    await expect(node.registry.openBlob('a', digest)).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
    await expect(node.registry.statBlob('a', digest)).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
    await expect(node.registry.deleteBlob('a', digest)).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
    await pushBlob(node.registry, 'a', bytes)
    expect(await pullBlob(node.registry, 'a', digest)).toSatisfy(same(bytes))
  })
})

describe('rot', () => {
  test.each([0, mib, 3 * mib + 4])(
    'at byte %d is never served, taken out of service, and healed by the next push',
    async offset => {
      const bytes = randomBytes(3 * mib + 5)
      const digest = await pushBlob(node.registry, 'a', bytes)
      expect(await pullBlob(node.registry, 'a', digest)).toSatisfy(same(bytes))
      await flipByte(pathOf(digest), offset)
      const reading = await node.registry.openBlob('a', digest)
      let served = 0
      await expect(async () => {
        for await (const chunk of reading.read()) {
          expect(Buffer.from(chunk)).toSatisfy(same(bytes.subarray(served, served + chunk.length)))
          served += chunk.length
        }
      }).rejects.toMatchObject({ reason: 'CONTENT_CORRUPT' })
      await reading.close()
      expect(served).toBeLessThanOrEqual(offset)
      await expect.poll(() => node.registry.statBlob('a', digest).catch(error => error.reason)).toBe('BLOB_UNKNOWN')
      await pushBlob(node.registry, 'a', bytes)
      expect(await pullBlob(node.registry, 'a', digest)).toSatisfy(same(bytes))
    }
  )

  test('ends several ranges before the first of their bytes that is of a rotten leaf', async () => {
    const bytes = randomBytes(3 * mib)
    const digest = await pushBlob(node.registry, 'a', bytes)
    await flipByte(pathOf(digest), 2 * mib)
    const reading = await node.registry.openBlob('a', digest)
    const served: Buffer[] = []
    await expect(async () => {
      const ranges = [
        { start: 5, end: 10 },
        { start: 2 * mib - 1, end: 3 * mib },
        { start: 20, end: 30 }
      ]
      for await (const chunk of reading.read(ranges)) served.push(Buffer.from(chunk))
    }).rejects.toMatchObject({ reason: 'CONTENT_CORRUPT' })
    await reading.close()
    expect(Buffer.concat(served)).toEqual(Buffer.concat([bytes.subarray(5, 10), bytes.subarray(2 * mib - 1, 2 * mib)]))
  })

  test('a range that does not touch the rotten leaf is served', async () => {
    const bytes = randomBytes(3 * mib)
    const digest = await pushBlob(node.registry, 'a', bytes)
    await flipByte(pathOf(digest), 0)
    expect(await pullBlob(node.registry, 'a', digest, { start: 2 * mib, end: 3 * mib })).toEqual(
      bytes.subarray(2 * mib)
    )
  })

  test('a file that vanished is healed by a push', async () => {
    const bytes = randomBytes(100)
    const digest = await pushBlob(node.registry, 'a', bytes)
    await rm(pathOf(digest))
    await expect(node.registry.openBlob('a', digest)).rejects.toMatchObject({ reason: 'CONTENT_CORRUPT' })
    await pushBlob(node.registry, 'a', bytes)
    expect(await pullBlob(node.registry, 'a', digest)).toSatisfy(same(bytes))
  })
})

describe('several ranges of a blob', () => {
  const size = 5 * mib + 77
  const bytes = randomBytes(size)

  /** How often each leaf is read from now on, by where it begins. */
  function countLeafReads(): Map<number, number> {
    const reads = new Map<number, number>()
    const open = node.files.open.bind(node.files)
    node.files.open = async digest => {
      const file = await open(digest)
      const pread = file?.pread.bind(file)
      if (file === undefined || pread === undefined) return file
      return Object.assign(file, {
        pread: (offset: number, length: number) => {
          const isLeaf = offset % mib === 0 && length === Math.min(mib, size - offset)
          if (isLeaf) reads.set(offset, (reads.get(offset) ?? 0) + 1)
          return pread(offset, length)
        }
      })
    }
    return reads
  }

  const ranges = (...pairs: [number, number][]) => pairs.map(([start, end]) => ({ start, end }))
  const small = (count: number, step: number, from = 0) =>
    Array.from({ length: count }, (_, at) => ({ start: from + at * step, end: from + at * step + 10 }))

  test.each([
    ['in one leaf', small(1000, 1000)],
    ['in one leaf, backwards', small(1000, 1000).toReversed()],
    ['over all leaves, turn and turn about', small(1000, 5001).toSorted((a, b) => (a.start % mib) - (b.start % mib))],
    ['that share leaves', ranges([0, mib + 1], [mib + 1, 3 * mib - 1], [3 * mib, size])],
    ['that share leaves, backwards', ranges([4 * mib - 9, size], [2 * mib - 9, 4 * mib - 9], [7, 2 * mib - 9])],
    // More than may be kept of a leaf until it is wanted again.
    [
      'large and criss-cross',
      ranges([3 * mib, 3 * mib + 9], [2 * mib, 2 * mib + 9], [3 * mib + 9, 4 * mib], [2 * mib + 9, 3 * mib])
    ]
  ])('%s come in that order, each leaf hashed once', async (_, asked) => {
    const digest = await pushBlob(node.registry, 'a', bytes)
    const wanted = Buffer.concat(asked.map(({ start, end }) => bytes.subarray(start, end)))
    expect(await pullBlob(node.registry, 'a', digest, ...asked)).toSatisfy(same(wanted))
    await node.close()
    node = await openTemporaryRegistry({ verifyReads: 'always' })
    await pushBlob(node.registry, 'a', bytes)
    const reads = countLeafReads()
    expect(await pullBlob(node.registry, 'a', digest, ...asked)).toSatisfy(same(wanted))
    const touched = new Set(asked.flatMap(({ start, end }) => leavesOf(start, end)))
    expect(reads).toEqual(new Map([...touched].map(leaf => [leaf, 1])))
  })

  function leavesOf(start: number, end: number): number[] {
    const leaves = []
    for (let leaf = Math.floor(start / mib) * mib; leaf < end; leaf += mib) leaves.push(leaf)
    return leaves
  }
})

describe('rot behind a slow reader', () => {
  test('is an error when it asks for more, and ends nothing else', async () => {
    const bytes = randomBytes(2 * mib)
    const digest = await pushBlob(node.registry, 'a', bytes)
    await flipByte(pathOf(digest), mib)
    const reading = await node.registry.openBlob('a', digest)
    const chunks = reading.read()[Symbol.asyncIterator]()
    await chunks.next()
    // The next leaf is found rotten while this one is still being written to the client.
    await expect.poll(() => node.registry.statBlob('a', digest).catch(error => error.reason)).toBe('BLOB_UNKNOWN')
    await expect(chunks.next()).rejects.toMatchObject({ reason: 'CONTENT_CORRUPT' })
    await reading.close()
  })
})

describe('upload sessions', () => {
  test('go on after a restart, at the byte where they were', async () => {
    const bytes = randomBytes(3 * mib)
    const { id } = await node.registry.startUpload('a', 'sha256')
    await node.registry.appendUpload('a', id, { bytes: chunks(bytes.subarray(0, mib + 3)), start: 0, length: mib + 3 })
    node = await node.reopen()
    expect(await node.registry.uploadStatus('a', id)).toEqual({ id, size: mib + 3 })
    const digest = digestOf(bytes)
    await node.registry.finishUpload('a', id, digest, { bytes: chunks(bytes.subarray(mib + 3)), start: mib + 3 })
    expect(await pullBlob(node.registry, 'a', digest)).toSatisfy(same(bytes))
    await expect(node.registry.uploadStatus('a', id)).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_UNKNOWN' })
  })

  test('belong to their repository', async () => {
    const { id } = await node.registry.startUpload('a', 'sha256')
    for (const ask of [
      node.registry.uploadStatus('b', id),
      node.registry.cancelUpload('b', id),
      node.registry.appendUpload('b', id, { bytes: chunks(Buffer.from('x')) })
    ]) {
      await expect(ask).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_UNKNOWN' })
    }
  })

  test('two chunks at one offset: one is taken, the other is out of order', async () => {
    const { id } = await node.registry.startUpload('a', 'sha256')
    const chunk = randomBytes(100_000)
    const results = await Promise.allSettled(
      [0, 1].map(() => node.registry.appendUpload('a', id, { bytes: chunks(chunk), start: 0, length: chunk.length }))
    )
    expect(results.map(result => result.status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(results.find(result => result.status === 'rejected')).toMatchObject({
      reason: { reason: 'BLOB_UPLOAD_OUT_OF_ORDER', status: 416 }
    })
    expect((await node.registry.uploadStatus('a', id)).size).toBe(chunk.length)
  })

  test('a wrong digest keeps the session, and the right one still ends it', async () => {
    const bytes = randomBytes(1000)
    const { id } = await node.registry.startUpload('a', 'sha256')
    await expect(
      node.registry.finishUpload('a', id, digestOf(Buffer.from('other')), { bytes: chunks(bytes) })
    ).rejects.toMatchObject({
      reason: 'DIGEST_INVALID'
    })
    expect((await node.registry.uploadStatus('a', id)).size).toBe(1000)
    await node.registry.finishUpload('a', id, digestOf(bytes), undefined)
    expect(await pullBlob(node.registry, 'a', digestOf(bytes))).toSatisfy(same(bytes))
  })

  test.each([
    ['fewer', 50, 100],
    ['more', 200, 100]
  ])('a body with %s bytes than promised is SIZE_INVALID', async (_, arrived, promised) => {
    const { id } = await node.registry.startUpload('a', 'sha256')
    await expect(
      node.registry.appendUpload('a', id, { bytes: chunks(randomBytes(arrived)), length: promised })
    ).rejects.toMatchObject({
      reason: 'SIZE_INVALID'
    })
    expect((await node.registry.uploadStatus('a', id)).size).toBeLessThanOrEqual(promised)
  })

  test('are limited in number, purged by age, and cancelled', async () => {
    await node.close()
    node = await openTemporaryRegistry({ maxUploads: 2 })
    const first = await node.registry.startUpload('a', 'sha256')
    const second = await node.registry.startUpload('a', 'sha256')
    await expect(node.registry.startUpload('a', 'sha256')).rejects.toMatchObject({
      reason: 'TOOMANYREQUESTS',
      headers: { 'Retry-After': '30' }
    })
    // Pushes that were broken off keep nobody out for longer than an hour, whoever broke them off.
    node.advance(59 * 60_000)
    await node.registry.appendUpload('a', second.id, { bytes: chunks(randomBytes(1)) })
    await expect(node.registry.startUpload('b', 'sha256')).rejects.toMatchObject({ reason: 'TOOMANYREQUESTS' })
    node.advance(60_000)
    const third = await node.registry.startUpload('b', 'sha256')
    await expect(node.registry.uploadStatus('a', first.id)).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_UNKNOWN' })
    await expect(node.registry.startUpload('b', 'sha256')).rejects.toMatchObject({ reason: 'TOOMANYREQUESTS' })
    await node.registry.cancelUpload('b', third.id)
    await expect(node.registry.cancelUpload('b', third.id)).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_UNKNOWN' })
    expect(await node.registry.purgeUploads(2 * 3_600_000)).toBe(0)
    node.advance(3_600_000)
    expect(await node.registry.purgeUploads(2 * 3_600_000, { dryRun: true })).toBe(1)
    expect(await node.registry.purgeUploads(2 * 3_600_000)).toBe(1)
    await expect(node.registry.uploadStatus('a', second.id)).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_UNKNOWN' })
    for await (const left of node.staging.list()) expect.unreachable(`${left.id} is still staged`)
  })

  test('two pushes of one blob at once store it once, in both repositories', async () => {
    const bytes = randomBytes(2 * mib + 1)
    const repositories = Array.from({ length: 8 }, (_, index) => `r${index}`)
    await Promise.all(repositories.map(repository => pushBlob(node.registry, repository, bytes)))
    for (const repository of repositories)
      expect(await pullBlob(node.registry, repository, digestOf(bytes))).toSatisfy(same(bytes))
    const files: string[] = []
    for await (const file of node.files.list()) files.push(file.digest)
    expect(files).toEqual([digestOf(bytes)])
    for await (const left of node.staging.list()) expect.unreachable(`${left.id} is still staged`)
  })
})

describe('mount', () => {
  test('from a repository that has it, from any that may be pulled, and never from one that may not', async () => {
    const digest = await pushBlob(node.registry, 'source', randomBytes(10))
    const all = () => true
    const none = () => false
    expect(await node.registry.mountBlob('t1', digest, 'elsewhere', all)).toBeUndefined()
    expect(await node.registry.mountBlob('t1', digest, 'source', none)).toBeUndefined()
    expect(await node.registry.mountBlob('t1', digest, undefined, none)).toBeUndefined()
    await expect(node.registry.statBlob('t1', digest)).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
    expect(await node.registry.mountBlob('t1', digest, 'source', all)).toMatchObject({ digest })
    expect(await node.registry.mountBlob('t2', digest, undefined, name => name === 't1')).toMatchObject({
      digest,
      size: 10
    })
    await node.registry.deleteBlob('source', digest)
    expect(await pullBlob(node.registry, 't2', digest)).toHaveLength(10)
  })

  test('without a source, of a layer that very many have, looks at some of them only', async () => {
    const digest = await pushBlob(node.registry, 'source', randomBytes(10))
    const links = Array.from(
      { length: 20_000 },
      (_, at): Mutation => ({ type: 'putLink', repository: `private${at}`, digest, record: { at: 0 } })
    )
    await node.metadata.commit(links, [], { durable: false })
    let asked = 0
    const mayPull = (repository: string) => {
      asked++
      return repository === 'source'
    }
    expect(await node.registry.mountBlob('t', digest, undefined, mayPull)).toBeUndefined()
    expect(asked).toBe(10_000)
    expect(await node.registry.mountBlob('t', digest, 'source', mayPull)).toMatchObject({ digest })
  })
})
