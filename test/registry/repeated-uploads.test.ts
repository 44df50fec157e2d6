import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import type { RepositoryPattern } from '../../src/access/pattern.ts'
import { RegistryError } from '../../src/errors.ts'
import { digestOf } from '../../src/oci/digest.ts'
import type { RegistryInit } from '../../src/registry/components.ts'
import { quotasOf } from '../../src/registry/quotas/quota.ts'
import { chunks, openTemporaryRegistry, pullBlob, pushBlob, type TemporaryRegistry } from './temporary-registry.ts'

const MiB = 1 << 20

let open: TemporaryRegistry | undefined
afterEach(async () => {
  await open?.close()
  open = undefined
})

async function registryWith(init: RegistryInit = {}): Promise<TemporaryRegistry> {
  open = await openTemporaryRegistry(init)
  return open
}

class Cut extends Error {}

/** Bytes that break off. */
async function* breaking(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* chunks(bytes)
  throw new Cut('the connection broke')
}

/** One request of a client of bad luck. Positions and lengths are in thousandths of what there is. */
interface Step {
  how: 'range' | 'location' | 'end'
  at: number
  length: number
  breaks: boolean
  restart: boolean
}

const steps = fc.array(
  fc.record<Step>({
    how: fc.constantFrom('range', 'location', 'location', 'end'),
    at: fc.oneof(fc.constantFrom(0, 1000, 1001), fc.integer({ min: 0, max: 1000 })),
    length: fc.integer({ min: 1, max: 1000 }),
    breaks: fc.boolean(),
    restart: fc.integer({ min: 0, max: 9 }).map(n => n === 0)
  }),
  { minLength: 1, maxLength: 8 }
)

/** What the protocol says, on a buffer. */
class Model {
  staged = Buffer.of()
  confirmed = 0

  /** Where the body of a step begins. */
  startOf({ how, at }: Step): number {
    const { length } = this.staged
    if (how === 'end') return length
    return at > 1000 ? length + 1 : Math.floor((length * at) / 1000)
  }

  refuses({ how }: Step, start: number): boolean {
    return start > this.staged.length || (how === 'range' && start < this.confirmed)
  }
}

describe('bodies sent again', () => {
  it('make the blob they would have made at once, in any order of cuts, repetitions and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.constantFrom(2000, 2 * MiB, 3 * MiB), async (run, size) => {
        let store = await openTemporaryRegistry()
        try {
          const { id } = await store.registry.startUpload('app', 'sha256')
          const model = new Model()
          for (const step of run) {
            await take(store, id, model, step, size)
            if (step.restart) {
              store = await store.reopen()
              model.confirmed = 0
            }
          }
          const digest = digestOf(model.staged)
          const view = await store.registry.finishUpload('app', id, digest, undefined)
          expect((await pullBlob(store.registry, 'app', digest)).equals(model.staged)).toBe(true)
          const fresh = await openTemporaryRegistry()
          await pushBlob(fresh.registry, 'app', model.staged)
          expect(view.root.toString()).toBe((await fresh.registry.statBlob('app', digest)).root.toString())
          expect(await fresh.metadata.blob(digest)).toEqual(await store.metadata.blob(digest))
          await fresh.close()
        } finally {
          await store.close()
        }
      }),
      { numRuns: 25 }
    )
  }, 120_000)

  async function take(
    { registry }: TemporaryRegistry,
    id: string,
    model: Model,
    step: Step,
    size: number
  ): Promise<void> {
    const start = model.startOf(step)
    const bytes = randomBytes(Math.max(1, Math.floor((size * step.length) / 1000)))
    const position = step.how === 'end' ? {} : step.how === 'range' ? { start } : { offset: start }
    const body = { bytes: step.breaks ? breaking(bytes) : chunks(bytes), ...position }
    const answer = registry.appendUpload('app', id, body)
    if (model.refuses(step, start)) {
      const detail = { size: model.staged.length }
      await expect(answer).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_OUT_OF_ORDER', detail })
    } else {
      if (step.breaks) await expect(answer).rejects.toThrow(Cut)
      else expect(await answer).toEqual({ id, size: start + bytes.length })
      model.staged = Buffer.concat([model.staged.subarray(0, start), bytes])
      model.confirmed = step.breaks ? Math.min(model.confirmed, start) : model.staged.length
    }
    expect((await registry.uploadStatus('app', id)).size).toBe(model.staged.length)
  }

  it('are confirmed to nobody when the client is gone before the answer', async () => {
    const { registry } = await registryWith()
    const { id } = await registry.startUpload('app', 'sha256')
    const bytes = randomBytes(3000)
    const leaving = new AbortController()
    async function* leave(): AsyncGenerator<Uint8Array> {
      yield* chunks(bytes)
      leaving.abort(new Cut())
    }
    const unheard = registry.appendUpload('app', id, { bytes: leave(), start: 0 }, { signal: leaving.signal })
    await expect(unheard).rejects.toThrow(Cut)
    expect((await registry.uploadStatus('app', id)).size).toBe(3000)
    await registry.appendUpload('app', id, { bytes: chunks(bytes), start: 0 })
    await expect(registry.appendUpload('app', id, { bytes: chunks(bytes), start: 0 })).rejects.toMatchObject({
      reason: 'BLOB_UPLOAD_OUT_OF_ORDER'
    })
    const digest = digestOf(bytes)
    expect(await registry.finishUpload('app', id, digest, undefined)).toMatchObject({ digest, size: 3000 })
  })

  it('count once for a quota', async () => {
    const all: RepositoryPattern = { text: '**', matches: () => true, beginning: '', specificity: 0 }
    const { registry } = await registryWith({ quotaOf: quotasOf([{ pattern: all, blob: 2 * MiB, size: 2 * MiB }]) })
    const { id } = await registry.startUpload('app', 'sha256')
    const bytes = randomBytes(2 * MiB)
    const digest = digestOf(bytes)
    await expect(registry.finishUpload('app', id, digest, { bytes: breaking(bytes), offset: 0 })).rejects.toThrow(Cut)
    await registry.appendUpload('app', id, { bytes: chunks(bytes), offset: 0, length: bytes.length })
    await registry.appendUpload('app', id, { bytes: chunks(bytes), offset: 0 })
    const body = { bytes: chunks(bytes), offset: 0, length: bytes.length }
    expect(await registry.finishUpload('app', id, digest, body)).toMatchObject({ digest })
    const more = await registry.startUpload('app', 'sha256')
    const refused = registry.appendUpload('app', more.id, { bytes: chunks(bytes), offset: 0, length: bytes.length })
    await expect(refused).rejects.toMatchObject({ reason: 'QUOTA_EXCEEDED' })
    await expect(registry.uploadStatus('app', more.id)).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_UNKNOWN' })
  })

  it('keep a blob from garbage collection once more, when what they close is a blob already', async () => {
    const { registry, advance } = await registryWith({ graceMs: 1000 })
    const bytes = randomBytes(5000)
    const { id } = await registry.startUpload('app', 'sha256')
    const digest = digestOf(bytes)
    await registry.finishUpload('app', id, digest, { bytes: chunks(bytes), offset: 0 })
    advance(900)
    await registry.finishUpload('app', id, digest, { bytes: chunks(bytes), offset: 0 })
    advance(900)
    expect((await registry.collectGarbage()).blobs).toBe(0)
    advance(1100)
    expect((await registry.collectGarbage()).blobs).toBe(1)
    await expect(registry.finishUpload('app', id, digest, undefined)).rejects.toMatchObject({
      reason: 'BLOB_UPLOAD_UNKNOWN'
    })
  })
})

describe('a body that another request of its session waits for', () => {
  /** A body that comes when the test says so, and says itself how long it has been silent. */
  function controlled() {
    const { promise: ended, reject } = Promise.withResolvers<never>()
    ended.catch(() => undefined)
    const body = { asked: 0, silence: 0, givenUp: false }
    async function* bytes(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('first')
      await ended
    }
    const client = {
      silentFor: () => {
        body.asked++
        return body.silence
      },
      giveUp: () => {
        body.givenUp = true
        reject(new RegistryError('BLOB_UPLOAD_STALLED'))
      }
    }
    return { body, upload: { bytes: bytes(), client, offset: 0 } }
  }

  it('is given up when it is silent for too long, not while it flows', async () => {
    const { registry } = await registryWith({ bodySilenceMs: 5, sessionWaitMs: 60_000 })
    const { id } = await registry.startUpload('app', 'sha256')
    const { body, upload } = controlled()
    const first = registry.appendUpload('app', id, upload)
    const stalled = expect(first).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_STALLED' })
    const second = registry.appendUpload('app', id, { bytes: chunks(Buffer.from('second')), offset: 0 })
    await expect.poll(() => body.asked).toBeGreaterThan(10)
    expect(body.givenUp).toBe(false)
    body.silence = 5
    await stalled
    expect(await second).toEqual({ id, size: 6 })
  })

  it('is not given up for a request to another repository', async () => {
    const { registry } = await registryWith({ bodySilenceMs: 5 })
    const { id } = await registry.startUpload('app', 'sha256')
    const { body, upload } = controlled()
    body.silence = 5
    const first = registry.appendUpload('app', id, upload)
    const stranger = registry.appendUpload('other', id, { bytes: chunks(Buffer.from('x')), offset: 0 })
    await pushBlob(registry, 'other', randomBytes(MiB))
    expect(body.givenUp).toBe(false)
    upload.client.giveUp()
    await expect(first).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_STALLED' })
    await expect(stranger).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_UNKNOWN' })
    expect((await registry.uploadStatus('app', id)).size).toBe(5)
  })

  it('is waited for no longer than a request may wait', async () => {
    const { registry } = await registryWith({ sessionWaitMs: 20 })
    const { id } = await registry.startUpload('app', 'sha256')
    const { upload } = controlled()
    const first = registry.appendUpload('app', id, upload)
    const busy = { reason: 'BLOB_UPLOAD_BUSY' }
    await expect(registry.appendUpload('app', id, { bytes: chunks(Buffer.from('x')) })).rejects.toMatchObject(busy)
    await expect(registry.cancelUpload('app', id)).rejects.toMatchObject(busy)
    upload.client.giveUp()
    await expect(first).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_STALLED' })
  })

  it('is not given up when nobody waits any more', async () => {
    const { registry } = await registryWith({ bodySilenceMs: 5 })
    const { id } = await registry.startUpload('app', 'sha256')
    const first = controlled()
    first.body.silence = 5
    const stalled = expect(registry.appendUpload('app', id, first.upload)).rejects.toThrow()
    const second = controlled()
    second.body.silence = 5
    const last = registry.appendUpload('app', id, second.upload)
    await stalled
    // Its own request must not have gone on looking after the session; only one that comes now looks.
    const { asked } = second.body
    for (const repository of ['other', 'another']) await pushBlob(registry, repository, randomBytes(MiB))
    expect(second.body).toMatchObject({ asked, givenUp: false })
    second.upload.client.giveUp()
    await expect(last).rejects.toMatchObject({ reason: 'BLOB_UPLOAD_STALLED' })
  })
})
