import { afterEach, beforeEach, expect, it } from 'vitest'
import { body, expectBytes, pattern } from '../contract/upload-staging.ts'
import { type FolderSubject, storageSubject } from './storage-subject.ts'

let subject: FolderSubject

beforeEach(async () => {
  subject = await storageSubject()
})

afterEach(() => subject.teardown())

it('reads what an append that returned has staged, at any offset, and as far as it goes', async () => {
  const { staging } = subject
  const bytes = pattern.subarray(0, 3_000_001)
  await staging.create('u', 'sha256')
  await staging.append('u', body(bytes.subarray(0, 1_500_000)))
  const buffer = Buffer.alloc(2_000_000)
  expect(await staging.read('u', buffer, 0)).toBe(1_500_000)
  expectBytes(buffer.subarray(0, 1_500_000), bytes.subarray(0, 1_500_000))
  await staging.append('u', body(bytes.subarray(1_500_000)))
  expect(await staging.read('u', buffer.subarray(0, 1000), 2_500_000)).toBe(1000)
  expectBytes(buffer.subarray(0, 1000), bytes.subarray(2_500_000, 2_501_000))
  expect(await staging.read('u', buffer, 3_000_000)).toBe(1)
  expect(await staging.read('u', buffer, 3_000_001)).toBe(0)
  expect(await staging.read('u', buffer, 9_000_000)).toBe(0)
})

it('disturbs neither the appends nor the hash', async () => {
  const { staging } = subject
  await staging.create('u', 'sha256')
  const buffer = Buffer.alloc(100)
  for (let at = 0; at < 4; at++) {
    await staging.append('u', body(pattern.subarray(at * 700_000, (at + 1) * 700_000)))
    await staging.read('u', buffer, at * 1000)
  }
  await staging.create('v', 'sha256')
  await staging.append('v', body(pattern.subarray(0, 2_800_000)))
  expect((await staging.content('u', 'sha256')).digest).toBe((await staging.content('v', 'sha256')).digest)
})

it('says of a session that is gone, or never was, that it is unknown', async () => {
  const { staging } = subject
  await staging.create('u', 'sha256')
  await staging.discard('u')
  const buffer = Buffer.alloc(1)
  for (const id of ['u', 'never', '../escape'])
    await expect(staging.read(id, buffer, 0)).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_UNKNOWN' })
})

it('stops by the signal', async () => {
  await subject.staging.create('u', 'sha256')
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(subject.staging.read('u', Buffer.alloc(1), 0, { signal })).rejects.toThrow('enough')
})
