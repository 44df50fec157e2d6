import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import type { RepositoryPattern } from '../../src/access/pattern.ts'
import { digestOf } from '../../src/oci/digest.ts'
import type { RegistryInit } from '../../src/registry/components.ts'
import { type QuotaLimits, quotasOf } from '../../src/registry/quotas/quota.ts'
import {
  chunks,
  imageManifest,
  openTemporaryRegistry,
  pushBlob,
  pushImage,
  putManifest,
  type TemporaryRegistry
} from './temporary-registry.ts'

const hour = 60 * 60 * 1000
const KiB = 1024
const full = { reason: 'QUOTA_EXCEEDED', code: 'DENIED', status: 413 }
const tooLarge = { reason: 'BLOB_TOO_LARGE', code: 'DENIED', status: 413 }

const pattern = (text: string, matches: (repository: string) => boolean, specificity = 1): RepositoryPattern => ({
  text,
  matches,
  beginning: '',
  specificity
})
const team = pattern('team/**', repository => repository.startsWith('team/'))

let open: TemporaryRegistry | undefined
afterEach(async () => {
  await open?.close()
  open = undefined
})

async function withQuota(limits: QuotaLimits, init: RegistryInit = {}): Promise<TemporaryRegistry> {
  open = await openTemporaryRegistry({ ...init, quotaOf: quotasOf([{ pattern: team, ...limits }]) })
  return open
}

/** A body that tells how much of it was asked for. */
function counted(size: number) {
  const body = { taken: 0, bytes: generate() }
  async function* generate() {
    for (; body.taken < size; body.taken += KiB) yield randomBytes(KiB)
  }
  return body
}

describe('the rule for a repository', () => {
  const all = pattern('**', () => true, 0)
  const app = pattern('team/app', repository => repository === 'team/app', 2)

  it('is the one with the most specific pattern, alone', () => {
    const quotaOf = quotasOf([
      { pattern: all, size: 1, uploads: 9 },
      { pattern: app, size: 3 },
      { pattern: team, blob: 2 }
    ])
    expect(quotaOf('team/app')).toEqual({ pattern: 'team/app', size: 3 })
    expect(quotaOf('team/other')).toEqual({ pattern: 'team/**', blob: 2 })
    expect(quotaOf('other')).toEqual({ pattern: '**', size: 1, uploads: 9 })
    expect(quotasOf([{ pattern: team }])('other')).toBeUndefined()
  })

  it('is the tightest of each limit where patterns are equally specific', () => {
    const apps = pattern('*/app', repository => repository.endsWith('/app'))
    const quotaOf = quotasOf([
      { pattern: team, size: 5, blob: 2 },
      { pattern: apps, size: 4, uploads: 1 }
    ])
    expect(quotaOf('team/app')).toEqual({ pattern: 'team/** and */app', size: 4, blob: 2, uploads: 1 })
  })
})

describe('the bytes of a repository', () => {
  it('are bounded, and its message says by what; others are not', async () => {
    const { registry, metadata } = await withQuota({ size: 100 * KiB })
    await pushBlob(registry, 'team/app', randomBytes(60 * KiB))
    await expect(pushBlob(registry, 'team/app', randomBytes(60 * KiB))).rejects.toMatchObject({
      ...full,
      message: expect.stringMatching(/team\/app holds 60 KiB of the 100 KiB .*team\/\*\*/),
      detail: { quota: 'team/**', limit: 100 * KiB, used: 60 * KiB },
      headers: {}
    })
    await pushBlob(registry, 'team/app', randomBytes(40 * KiB))
    await pushBlob(registry, 'other', randomBytes(500 * KiB))
    expect(await metadata.usage('team/app')).toBe(100 * KiB)
  })

  it('stay within the limit to the byte, however many push at once', async () => {
    const { registry, metadata } = await withQuota({ size: 10 * 3000 })
    const pushes = Array.from({ length: 40 }, () => pushBlob(registry, 'team/app', randomBytes(3000)))
    const results = await Promise.allSettled(pushes)
    expect(results.filter(result => result.status === 'fulfilled')).toHaveLength(10)
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject(full)
    expect(await metadata.usage('team/app')).toBe(30_000)
  })

  it('count a blob once, however often it is pushed, and let it be pushed again when full', async () => {
    const { registry, metadata } = await withQuota({ size: 1000 })
    const blob = randomBytes(1000)
    await Promise.all(Array.from({ length: 8 }, () => pushBlob(registry, 'team/app', blob)))
    await pushBlob(registry, 'team/app', blob)
    expect(await metadata.usage('team/app')).toBe(1000)
  })

  it('count what is mounted, and what another repository has anyway', async () => {
    const { registry, metadata } = await withQuota({ size: 1000 })
    const [large, small] = [randomBytes(1001), randomBytes(600)]
    for (const blob of [large, small]) await pushBlob(registry, 'elsewhere', blob)
    const mount = (blob: Buffer) => registry.mountBlob('team/app', digestOf(blob), 'elsewhere', () => true)
    await expect(mount(large)).rejects.toMatchObject(full)
    await expect(pushBlob(registry, 'team/app', large)).rejects.toMatchObject(full)
    expect(await mount(small)).toMatchObject({ size: 600 })
    expect(await mount(small)).toMatchObject({ size: 600 })
    expect(await metadata.usage('team/app')).toBe(600)
    // Who may not know of it is told nothing of its size.
    expect(await registry.mountBlob('team/app', digestOf(large), 'elsewhere', () => false)).toBeUndefined()
  })

  it('count manifests', async () => {
    const { registry, metadata } = await withQuota({ size: 8000 })
    const { manifest, config, layers } = await pushImage(registry, 'team/app', 'v1', [5000])
    const held = config.length + (layers[0]?.length ?? 0)
    expect(await metadata.usage('team/app')).toBe(held + manifest.length)
    const padded = imageManifest(config, layers, { annotations: { padding: 'x'.repeat(8000) } })
    await expect(putManifest(registry, 'team/app', padded, 'v2')).rejects.toMatchObject(full)
    await putManifest(registry, 'team/app', manifest, 'v2')
    expect(await metadata.usage('team/app')).toBe(held + manifest.length)
  })

  it('come back by deletion and by garbage collection, and are the same after a restart', async () => {
    const { registry, metadata, advance, reopen } = await withQuota({ size: 20_000 }, { graceMs: 1000 })
    const { digest, manifest, config } = await pushImage(registry, 'team/app', 'v1', [9000])
    const stray = await pushBlob(registry, 'team/app', randomBytes(5000))
    await registry.deleteBlob('team/app', stray)
    await pushBlob(registry, 'team/app', randomBytes(10_000))
    const held = 19_000 + manifest.length + config.length
    expect(await metadata.usage('team/app')).toBe(held)
    open = await reopen()
    expect(await open.metadata.usage('team/app')).toBe(held)
    await open.registry.deleteManifest('team/app', digest)
    expect(await open.metadata.usage('team/app')).toBe(held - manifest.length)
    advance(2000)
    open.advance(2000)
    await open.registry.collectGarbage()
    expect(await open.metadata.usage('team/app')).toBe(0)
  })
})

describe('an upload that cannot be kept', () => {
  it('is refused before a byte is read when its length is known, and its session ends', async () => {
    const { registry } = await withQuota({ blob: 64 * KiB, size: 100 * KiB })
    await pushBlob(registry, 'team/app', randomBytes(60 * KiB))
    for (const [length, error] of [
      [50 * KiB, full],
      [70 * KiB, tooLarge],
      [500 * KiB, tooLarge]
    ] as const) {
      const { id } = await registry.startUpload('team/app', 'sha256')
      const body = counted(length)
      await expect(registry.appendUpload('team/app', id, { bytes: body.bytes, length })).rejects.toMatchObject(error)
      expect(body.taken).toBe(0)
      await expect(registry.uploadStatus('team/app', id)).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_UNKNOWN' })
    }
  })

  it.each([
    ['the blob', { blob: 64 * KiB }, tooLarge],
    ['the repository', { size: 64 * KiB }, full]
  ])('is cut off where %s is full when its length is not known, and nothing stays staged', async (_, limits, error) => {
    const { registry, staging } = await withQuota(limits)
    const { id } = await registry.startUpload('team/app', 'sha256')
    await registry.appendUpload('team/app', id, { bytes: chunks(randomBytes(60 * KiB)) })
    const body = counted(5000 * KiB)
    await expect(registry.appendUpload('team/app', id, { bytes: body.bytes })).rejects.toMatchObject(error)
    expect(body.taken).toBeLessThanOrEqual(6 * KiB)
    expect(await staging.size(id)).toBeUndefined()
  })

  it('of exactly what is allowed is taken, also without a length', async () => {
    const { registry } = await withQuota({ blob: 64 * KiB, size: 64 * KiB })
    const bytes = randomBytes(64 * KiB)
    const { id } = await registry.startUpload('team/app', 'sha256')
    await registry.appendUpload('team/app', id, { bytes: chunks(bytes) })
    expect(await registry.finishUpload('team/app', id, digestOf(bytes), undefined)).toMatchObject({ size: 64 * KiB })
  })

  it('was staged before the quota was: it ends at the commit', async () => {
    let limits: QuotaLimits = {}
    open = await openTemporaryRegistry({ quotaOf: () => ({ pattern: 'x', ...limits }) })
    const { registry, staging } = open
    const bytes = randomBytes(2000)
    const { id } = await registry.startUpload('team/app', 'sha256')
    await registry.appendUpload('team/app', id, { bytes: chunks(bytes) })
    limits = { blob: 1000 }
    await expect(registry.finishUpload('team/app', id, digestOf(bytes), undefined)).rejects.toMatchObject(tooLarge)
    expect(await staging.size(id)).toBeUndefined()
  })
})

describe('open upload sessions', () => {
  const many = { reason: 'TOOMANYREQUESTS', headers: { 'Retry-After': expect.stringMatching(/^\d+$/) } }

  it('are bounded a repository, and free again when one ends', async () => {
    const { registry } = await withQuota({ uploads: 3 })
    const start = () => registry.startUpload('team/app', 'sha256')
    const started = await Promise.allSettled(Array.from({ length: 8 }, start))
    const sessions = started.flatMap(result => (result.status === 'fulfilled' ? result.value.id : []))
    expect(sessions).toHaveLength(3)
    await expect(start()).rejects.toMatchObject(many)
    await registry.startUpload('team/other', 'sha256')
    await registry.cancelUpload('team/app', sessions[0] ?? '')
    const { id } = await start()
    const bytes = randomBytes(10)
    await registry.finishUpload('team/app', id, digestOf(bytes), { bytes: chunks(bytes) })
    await start()
    await expect(start()).rejects.toMatchObject(many)
  })

  it('that were left alone for an hour make place, those in use never, also after a restart', async () => {
    const first = await withQuota({ uploads: 2 })
    const left = await first.registry.startUpload('team/app', 'sha256')
    open = await first.reopen()
    const { registry, advance } = open
    const used = await registry.startUpload('team/app', 'sha256')
    advance(hour / 2)
    await registry.appendUpload('team/app', used.id, { bytes: chunks(randomBytes(10)) })
    await expect(registry.startUpload('team/app', 'sha256')).rejects.toMatchObject(many)
    advance(hour / 2 + 1)
    await registry.startUpload('team/app', 'sha256')
    await expect(registry.uploadStatus('team/app', left.id)).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_UNKNOWN' })
    expect(await registry.uploadStatus('team/app', used.id)).toMatchObject({ size: 10 })
    await expect(registry.startUpload('team/app', 'sha256')).rejects.toMatchObject(many)
  })

  it('that have been written to for an hour do not make place', async () => {
    const { registry, advance } = await withQuota({ uploads: 1 })
    const { id } = await registry.startUpload('team/app', 'sha256')
    const more = Promise.withResolvers<void>()
    async function* slow() {
      yield randomBytes(10)
      await more.promise
      yield randomBytes(10)
    }
    const appending = registry.appendUpload('team/app', id, { bytes: slow() })
    advance(2 * hour)
    await expect(registry.startUpload('team/app', 'sha256')).rejects.toMatchObject(many)
    more.resolve()
    expect(await appending).toMatchObject({ size: 20 })
  })
})
