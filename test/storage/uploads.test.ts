import { mkdir, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { body, bytesOf, contentOf, expectBytes, pattern, store } from '../contract/upload-staging.ts'
import { type FolderSubject, storageSubject } from './storage-subject.ts'

const MiB = 1 << 20

describe('files on disk', () => {
  let subject: FolderSubject

  beforeEach(async () => {
    subject = await storageSubject({ uploads: { idleSessions: 2 } })
  })
  afterEach(() => subject.teardown())

  it('are private, flat, and where the layout says', async () => {
    const { staging, root } = subject
    await staging.create('up', 'sha256')
    expect((await stat(join(root, 'uploads', 'up'))).mode & 0o777).toBe(0o600)
    const digest = await store(subject, 'other', pattern)
    const hex = digest.slice('sha256:'.length)
    const shard = join(root, 'blobs', 'sha256', hex.slice(0, 2))
    expect(await readdir(shard)).toEqual([hex])
    expect((await stat(shard)).mode & 0o777).toBe(0o700)
    const wide = digestOf(pattern, 'sha512')
    await staging.append('up', body(pattern))
    await staging.place('up', wide)
    const wideHex = wide.slice('sha512:'.length)
    expect(await readdir(join(root, 'blobs', 'sha512', wideHex.slice(0, 2)))).toEqual([wideHex])
  })

  it('decide the offset: bytes that went missing are asked for again, and hashed as they are', async () => {
    const { staging, root } = subject
    await staging.create('up', 'sha256')
    await staging.append('up', body(pattern.subarray(0, 2 * MiB)))
    await truncate(join(root, 'uploads', 'up'), MiB + 1)
    expect(await staging.size('up')).toBe(MiB + 1)
    expect(await staging.content('up', 'sha256')).toEqual(contentOf(pattern.subarray(0, MiB + 1)))
    expect(await staging.append('up', body(pattern.subarray(MiB + 1)))).toBe(pattern.length)
    expect(await staging.content('up', 'sha256')).toEqual(contentOf(pattern))
  })

  it('give back the session of a file that somebody removed', async () => {
    const { staging, root } = subject
    await staging.create('up', 'sha256')
    await staging.append('up', body(pattern))
    await rm(join(root, 'uploads', 'up'))
    const unknown = { reason: 'BLOB_UPLOAD_UNKNOWN' }
    await expect(staging.append('up', body(pattern))).rejects.toMatchObject(unknown)
    await expect(staging.content('up', 'sha256')).rejects.toMatchObject(unknown)
    await expect(staging.place('up', digestOf(pattern))).rejects.toMatchObject(unknown)
    await staging.create('up', 'sha256')
    expect(await staging.append('up', body(pattern.subarray(0, 5)))).toBe(5)
  })

  it('are kept open for a bounded number of idle sessions', async () => {
    const { staging } = subject
    const open = async () => (await readdir('/proc/self/fd')).length
    const before = process.platform === 'linux' ? await open() : 0
    for (let index = 0; index < 30; index++) {
      await staging.create(`up${index}`, 'sha256')
      await staging.append(`up${index}`, body(pattern.subarray(0, index * 50_000)))
    }
    // Evicted files are closed in the background.
    await expect.poll(async () => (process.platform === 'linux' ? await open() : 0) - before).toBeLessThan(10)
    for (let index = 0; index < 30; index++) {
      const expected = contentOf(pattern.subarray(0, index * 50_000))
      expect(await staging.content(`up${index}`, 'sha256')).toEqual(expected)
    }
  })

  it('that shrink while they are read end the read with an error', async () => {
    const digest = await store(subject, 'up', pattern)
    const hex = digest.slice('sha256:'.length)
    const path = join(subject.root, 'blobs', 'sha256', hex.slice(0, 2), hex)
    const file = await subject.blobs.open(digest)
    await truncate(path, 5 * MiB)
    const corrupt = { reason: 'CONTENT_CORRUPT' }
    await expect(file?.pread(5 * MiB - 1, 2)).rejects.toMatchObject(corrupt)
    expectBytes(await file?.pread(0, 5 * MiB), pattern.subarray(0, 5 * MiB))
    let received = 0
    const read = async () => {
      for await (const chunk of file?.stream({ start: 0, end: pattern.length }) ?? []) received += chunk.length
    }
    await expect(read()).rejects.toMatchObject(corrupt)
    expect(received).toBeLessThanOrEqual(5 * MiB)
    const again = await subject.blobs.open(digest)
    expect(again?.identity).not.toBe(file?.identity)
    await file?.close()
    await again?.close()
  })

  it('that grow while they are read are read to the size they had', async () => {
    const digest = await store(subject, 'up', pattern)
    const hex = digest.slice('sha256:'.length)
    const file = await subject.blobs.open(digest)
    await writeFile(join(subject.root, 'blobs', 'sha256', hex.slice(0, 2), hex), 'more', { flag: 'a' })
    let received = 0
    for await (const chunk of file?.stream({ start: 0, end: pattern.length + 4 }) ?? []) received += chunk.length
    expect(received).toBe(pattern.length)
    expect((await file?.pread(pattern.length - 1, 10))?.length).toBe(1)
    await file?.close()
  })

  it('that are no blobs are not listed as such', async () => {
    const digest = await store(subject, 'up', pattern)
    const shard = join(subject.root, 'blobs', 'sha256', 'ab')
    await mkdir(shard, { recursive: true })
    await writeFile(join(shard, 'README'), 'hello')
    await writeFile(join(shard, 'cd'.repeat(32)), 'a digest of another shard')
    await writeFile(join(subject.root, 'blobs', 'sha256', 'stray'), 'not in a shard')
    await mkdir(join(subject.root, 'uploads', 'folder'))
    const listed: string[] = []
    for await (const blob of subject.blobs.list()) listed.push(blob.digest)
    expect(listed).toEqual([digest])
    for await (const session of subject.staging.list()) expect(session.id).not.toBe('folder')
  })

  it('are readable after quarantine, under the path that was told', async () => {
    const digest = await store(subject, 'up', pattern)
    const path = (await subject.blobs.quarantine(digest))?.path ?? ''
    expect(path.startsWith(join(subject.root, 'quarantine'))).toBe(true)
    expect((await stat(path)).size).toBe(pattern.length)
    expect(await bytesOf(subject.blobs, digest)).toBeUndefined()
  })
})
