import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { RegistryError } from '../../../src/errors.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { FetchInit, RegistryComponents } from '../../../src/registry/components.ts'
import type { BlobReading } from '../../../src/registry/registry.ts'
import {
  imageManifest,
  linkOnly,
  mayFetch,
  openTemporaryRegistry,
  pullBlob,
  pushBlob,
  putManifest,
  type TemporaryRegistry
} from '../temporary-registry.ts'
import { type Script, ScriptedSource } from './scripted-source.ts'

const MiB = 1 << 20
const layer = randomBytes(5 * MiB + 12_345)
const digest = digestOf(layer)
const config = Buffer.from('{"architecture":"amd64","os":"linux"}')

let node: TemporaryRegistry

afterEach(() => node.close())

/** Long enough for the slowest disk: only a hang reaches it. */
const eventually = (check: () => unknown) => vi.waitFor(check, 60_000)

const source = (name: string, script: Script = {}) => new ScriptedSource(name, [layer, config], script)

/** A registry with an image in `a` of which it has the manifest only. */
async function open(
  sources: readonly ScriptedSource[],
  fetch: FetchInit = {},
  more: Partial<RegistryComponents> = {}
): Promise<void> {
  node = await openTemporaryRegistry({ sparse: 'all', fetch }, undefined, 0, { sources, ...more })
  await putManifest(node.registry, 'a', imageManifest(config, [layer]), 'v1')
}

const pull = async (repository = 'a', ...ranges: { start: number; end: number }[]) => {
  const wanted = ranges.map(({ start, end }) => layer.subarray(start, end))
  const pulled = await pullBlob(node.registry, repository, digest, ...ranges)
  return pulled.equals(wanted.length === 0 ? layer : Buffer.concat(wanted))
}

/** A client may have its last byte a moment before the commit. */
const committed = async (repository = 'a') =>
  eventually(async () => {
    expect((await node.registry.statBlob(repository, digest)).size).toBe(layer.length)
    expect(await staged()).toEqual([])
  })

const staged = async () => {
  const sessions: { id: string; size: number }[] = []
  for await (const { id, size } of node.staging.list()) sessions.push({ id, size })
  return sessions
}

/** Reads until `count` bytes are there, and checks them. */
async function take(chunks: AsyncIterator<Uint8Array>, from: number, count: number): Promise<number> {
  let at = from
  while (at < from + count) {
    const { value, done } = await chunks.next()
    if (done === true) break
    expect(Buffer.compare(value, layer.subarray(at, at + value.length))).toBe(0)
    at += value.length
  }
  return at
}

function chunksOf(reading: BlobReading): AsyncIterator<Uint8Array> {
  return reading.read()[Symbol.asyncIterator]()
}

describe('a blob that is not on this disk', () => {
  it('is unknown without sources', async () => {
    await open([])
    await expect(node.registry.openBlob('a', digest, mayFetch)).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
  })

  it('is fetched, verified and kept as a push would keep it', async () => {
    const one = source('one')
    await open([one])
    expect(await pull()).toBe(true)
    await committed()
    expect((await pullBlob(node.registry, 'a', digestOf(config))).equals(config)).toBe(true)
    expect((await node.registry.getManifest('a', { tag: 'v1' })).image).toBeDefined()
    node = await node.reopen()
    expect(await pull()).toBe(true)
    expect(one.asked).toMatchObject([{ offset: 0, repository: 'a' }, { digest: digestOf(config) }])
    expect(await staged()).toEqual([])
  })

  it('is not here for HEAD and mount, which answer for this disk', async () => {
    const one = source('one')
    await open([one])
    await expect(node.registry.statBlob('a', digest)).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
    expect(await node.registry.mountBlob('b', digest, 'a', () => true)).toBeUndefined()
    expect(one.asked).toEqual([])
  })

  it('is not fetched for a repository that has no right to it', async () => {
    const one = source('one')
    await open([one])
    await expect(pull('b')).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
    expect(one.asked).toEqual([])
  })

  it('is not fetched, nor waited for, by a caller who may not have that done', async () => {
    const one = source('one', { holdAt: 2 * MiB })
    await open([one])
    await expect(node.registry.openBlob('a', digest)).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
    const demandFetch = vi.fn(() => {
      throw new RegistryError('DENIED')
    })
    await expect(node.registry.openBlob('a', digest, { demandFetch })).rejects.toMatchObject({ reason: 'DENIED' })
    // Where there is no right to the blob either, there is nothing to be asked.
    const elsewhere = node.registry.openBlob('b', digest, { demandFetch })
    await expect(elsewhere).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
    expect(one.asked).toEqual([])
    const allowed = pull()
    await eventually(() => expect(one.delivered).toBe(2 * MiB))
    await expect(node.registry.openBlob('a', digest, { demandFetch })).rejects.toMatchObject({ reason: 'DENIED' })
    one.release()
    expect(await allowed).toBe(true)
    await committed()
    // From this disk it is a pull as any other.
    demandFetch.mockClear()
    await (await node.registry.openBlob('a', digest, { demandFetch })).close()
    expect(demandFetch).not.toHaveBeenCalled()
  })

  it('is unknown when every source says so, and leaves nothing behind', async () => {
    const one = new ScriptedSource('one', [])
    await open([one])
    await expect(pull()).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
    expect(one.asked).toHaveLength(1)
    expect(await staged()).toEqual([])
  })

  it('is not called unknown because a source failed', async () => {
    await open([new ScriptedSource('empty', []), source('broken', { failAt: 0 })])
    await expect(pull()).rejects.toMatchObject({ status: 503, headers: { 'Retry-After': expect.any(String) } })
    expect(await staged()).toEqual([])
  })

  it.each([
    ['of no bytes', Buffer.alloc(0)],
    ['of one leaf', layer.subarray(0, MiB)],
    ['of one byte more', layer.subarray(0, MiB + 1)]
  ])('may be one %s', async (_, bytes) => {
    await open([new ScriptedSource('one', [bytes])])
    await putManifest(node.registry, 'a', imageManifest(config, [bytes]))
    expect((await pullBlob(node.registry, 'a', digestOf(bytes))).equals(bytes)).toBe(true)
  })

  it('may be named by sha512', async () => {
    const bytes = layer.subarray(0, 2 * MiB)
    await open([new ScriptedSource('one', [bytes])])
    const named = digestOf(bytes, 'sha512')
    const manifest = imageManifest(config, [bytes]).toString().replace(digestOf(bytes), named)
    await putManifest(node.registry, 'a', Buffer.from(manifest))
    expect((await pullBlob(node.registry, 'a', named)).equals(bytes)).toBe(true)
  })

  it('may be described by no manifest: then it is sent when it is whole, and only up to a size', async () => {
    const one = source('one')
    await open([one], { maxUndescribedBytes: 6 * MiB })
    await linkOnly(node, 'b', layer)
    expect(await pull('b')).toBe(true)
    const large = randomBytes(6 * MiB + 1)
    const other = await linkOnly(node, 'b', large)
    const two = new ScriptedSource('two', [large])
    await node.close()
    await open([two], { maxUndescribedBytes: 6 * MiB })
    await linkOnly(node, 'b', large)
    await expect(pullBlob(node.registry, 'b', other)).rejects.toMatchObject({ status: 503 })
  })

  it('may be pushed meanwhile', async () => {
    const one = source('one', { holdAt: 3 * MiB })
    await open([one])
    const pulling = pull()
    await eventually(() => expect(one.delivered).toBe(3 * MiB))
    await pushBlob(node.registry, 'a', layer)
    expect(await pull()).toBe(true)
    one.release()
    expect(await pulling).toBe(true)
    await committed()
  })
})

describe('clients of one blob', () => {
  it('share one fetch, whatever range they want', async () => {
    const one = source('one', { holdAt: 2 * MiB })
    await open([one])
    const ranges = [
      [],
      [{ start: 0, end: 1 }],
      [{ start: 4 * MiB, end: layer.length }],
      [{ start: 100, end: 3 * MiB }],
      [
        { start: 3 * MiB, end: layer.length },
        { start: 0, end: 1 },
        { start: 10, end: 2 * MiB }
      ]
    ]
    const pulls = Array.from({ length: 20 }, (_, at) => pull('a', ...(ranges[at % ranges.length] ?? [])))
    await eventually(() => expect(one.delivered).toBe(2 * MiB))
    pulls.push(pull())
    one.release()
    expect(await Promise.all(pulls)).toEqual(Array(21).fill(true))
    expect(one.asked).toHaveLength(1)
  })

  it('have the bytes while they arrive, but the last leaf only when the whole hashes', async () => {
    const one = source('one', { holdAt: layer.length - 1 })
    await open([one])
    const reading = await node.registry.openBlob('a', digest, mayFetch)
    expect(reading).toMatchObject({ size: layer.length })
    expect(reading.root).toBeUndefined()
    const chunks = chunksOf(reading)
    expect(await take(chunks, 0, 5 * MiB)).toBe(5 * MiB)
    const last = chunks.next()
    const first = await Promise.race([last, new Promise(resolve => setTimeout(resolve, 300, 'nothing'))])
    expect(first).toBe('nothing')
    one.release()
    const { value = Buffer.alloc(0) } = await last
    expect(await take(chunks, 5 * MiB + value.length, layer.length)).toBe(layer.length)
    await reading.close()
  })

  it('of several repositories share when each holds the blob', async () => {
    const one = source('one', { holdAt: 2 * MiB })
    await open([one])
    for (const repository of ['b', 'c']) {
      await linkOnly(node, repository, layer)
      await putManifest(node.registry, repository, imageManifest(config, [layer]), 'v1')
      await linkOnly(node, repository, config)
    }
    const pulls = [pull('b'), pull('c')]
    await eventually(() => expect(one.delivered).toBe(2 * MiB))
    one.release()
    expect(await Promise.all(pulls)).toEqual([true, true])
    expect(one.asked).toHaveLength(1)
    for (const repository of ['b', 'c']) await pullBlob(node.registry, repository, digestOf(config))
    for (const repository of ['b', 'c'])
      expect((await node.registry.getManifest(repository, { tag: 'v1' })).image).toBeDefined()
  })

  it('of a repository that only claims the blob get what a source gives that repository', async () => {
    const one = source('one', { holdAt: 2 * MiB, repositories: ['b', 'friend'] })
    await open([one])
    await linkOnly(node, 'b', layer)
    await putManifest(node.registry, 'b', imageManifest(config, [layer]))
    const held = pull('b')
    await eventually(() => expect(one.delivered).toBe(2 * MiB))
    await expect(pull('a')).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
    one.release()
    expect(await held).toBe(true)
    await expect(pull('a')).rejects.toMatchObject({ reason: 'BLOB_UNKNOWN' })
    await putManifest(node.registry, 'friend', imageManifest(config, [layer]))
    expect(await pull('friend')).toBe(true)
    expect(one.asked.map(asked => asked.repository)).toEqual(['b', 'a', 'a', 'friend'])
  })

  it('that go away stop the fetch; what is staged is taken up again, also by the next process', async () => {
    const one = source('one', { holdAt: 3 * MiB })
    await open([one], { lingerMs: 20 })
    const first = await node.registry.openBlob('a', digest, mayFetch)
    const second = await node.registry.openBlob('a', digest, mayFetch)
    await take(chunksOf(first), 0, 3 * MiB)
    await first.close()
    await new Promise(resolve => setTimeout(resolve, 100))
    expect(one.active).toBe(1)
    await second.close()
    await eventually(() => expect(one.active).toBe(0))
    expect(await staged()).toMatchObject([{ size: 3 * MiB }])
    node = await node.reopen()
    one.release()
    expect(await pull()).toBe(true)
    expect(one.asked.map(asked => asked.offset)).toEqual([0, 3 * MiB])
    await committed()
  })

  it('that hang up while they wait are let go at once', async () => {
    const one = source('one', { holdAt: 0 })
    await open([one], { lingerMs: 0 })
    const hangUp = new AbortController()
    const waiting = node.registry.openBlob('a', digest, { ...mayFetch, signal: hangUp.signal })
    await eventually(() => expect(one.active).toBe(1))
    hangUp.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    await eventually(() => expect(one.active).toBe(0))
  })

  it('are told to come again when it takes too long; the fetch goes on behind', async () => {
    const one = source('one', { holdAt: 0 })
    await open([one], { answerMs: 50, lingerMs: 0 })
    const told = { status: 503, headers: { 'Retry-After': expect.any(String) } }
    await expect(node.registry.openBlob('a', digest, mayFetch)).rejects.toMatchObject(told)
    one.release()
    await committed()
    expect(await pull()).toBe(true)
    expect(one.asked).toHaveLength(1)
  })

  it('are told so for a range that is not there yet, too', async () => {
    const one = source('one', { holdAt: 2 * MiB })
    await open([one], { answerMs: 100 })
    const range = { start: 3 * MiB, end: 4 * MiB }
    await expect(pull('a', range)).rejects.toMatchObject({ status: 503 })
    one.release()
    await eventually(async () => expect(await pull('a', range)).toBe(true))
    expect(one.asked).toHaveLength(1)
  })

  it('do not keep the registry from closing', async () => {
    const one = source('one', { holdAt: 2 * MiB })
    await open([one])
    const pulling = pull()
    await eventually(() => expect(one.delivered).toBe(2 * MiB))
    const stopped = expect(pulling).rejects.toMatchObject({ status: 503 })
    node = await node.reopen()
    await stopped
    expect(one.active).toBe(0)
  })
})

describe('a source', () => {
  it('that breaks is followed by the next at the byte reached', async () => {
    const [one, two] = [source('one', { failAt: 2 * MiB + 5 }), source('two')]
    await open([one, two])
    expect(await pull()).toBe(true)
    expect(two.asked).toMatchObject([{ offset: 2 * MiB + 5 }])
    expect([one.blames, two.blames]).toEqual([[], []])
  })

  it.each<[string, Script]>([
    ['stalls', { stallAt: 2 * MiB }],
    ['ends early', { endAt: 2 * MiB }],
    ['breaks and has nothing more', { failAt: 2 * MiB }]
  ])('that %s is left for the next, or asked again when it had brought something', async (_, script) => {
    const [one, two] = [source('one', script), source('two', { failAt: 4 * MiB })]
    await open([one, two], { stallMs: 100 })
    Object.defineProperty(two.script, 'failAt', { get: () => (two.asked.length > 1 ? undefined : 4 * MiB) })
    expect(await pull()).toBe(true)
    expect(two.asked.map(asked => asked.offset)).toEqual([2 * MiB, 4 * MiB])
  })

  it('that does not answer is left for the next', async () => {
    const [one, two] = [source('one', { silent: true }), source('two')]
    await open([one, two], { stallMs: 50 })
    expect(await pull()).toBe(true)
  })

  it('that sends other bytes is blamed; who read them is cut, and has the blob from the next', async () => {
    const [liar, two] = [source('liar', { corruptAt: 4 * MiB + 7 }), source('two')]
    const warned: string[] = []
    const log = { debug() {}, info() {}, error() {}, warn: (_: object, message: string) => warned.push(message) }
    await open([liar, two], {}, { log })
    const reading = await node.registry.openBlob('a', digest, mayFetch)
    const whole = (async () => {
      let count = 0
      for await (const chunk of reading.read()) count += chunk.length
      return count
    })()
    await expect(whole).rejects.toMatchObject({ status: 503 })
    await reading.close()
    expect(liar.blames).toEqual([digest])
    expect(warned).toEqual(['a source sent bytes that are not the blob'])
    expect(await pull()).toBe(true)
    expect(two.asked).toMatchObject([{ offset: 0 }])
    expect(two.blames).toEqual([])
  })

  it('that sends other bytes harms nobody who has not read any', async () => {
    const [liar, two] = [source('liar', { corruptAt: 100 }), source('two')]
    await open([liar, two])
    expect(await pull('a', { start: 0, end: 1000 })).toBe(true)
  })

  it('that lies alone leaves nothing, and is not asked again for that blob', async () => {
    const liar = source('liar', { corruptAt: 100 })
    await open([liar])
    for (let round = 0; round < 2; round++) await expect(pull()).rejects.toMatchObject({ status: 503 })
    expect(liar.asked).toHaveLength(1)
    expect(await staged()).toEqual([])
    node.advance(11 * 60 * 1000)
    await expect(pull()).rejects.toMatchObject({ status: 503 })
    expect(liar.asked).toHaveLength(2)
  })

  it('that only helped to get it wrong is not blamed: each is asked for all of it', async () => {
    const [liar, honest] = [source('liar', { corruptAt: 100, failAt: 3 * MiB }), source('honest')]
    await open([liar, honest])
    await eventually(async () => expect(await pull()).toBe(true))
    expect(honest.blames).toEqual([])
    expect(honest.asked.map(asked => asked.offset)).toEqual([3 * MiB, 0])
  })

  it('is not blamed for what an earlier process staged', async () => {
    const one = source('one', { corruptAt: 100, holdAt: 3 * MiB })
    await open([one])
    const reading = await node.registry.openBlob('a', digest, mayFetch)
    await eventually(async () => expect(await staged()).toMatchObject([{ size: 3 * MiB }]))
    await reading.close()
    node = await node.reopen()
    delete one.script.corruptAt
    one.release()
    await eventually(async () => expect(await pull()).toBe(true))
    expect(one.blames).toEqual([])
    expect(one.asked.map(asked => asked.offset)).toEqual([0, 3 * MiB, 0])
  })

  it('is not blamed when the manifest has the size wrong', async () => {
    const one = source('one')
    await open([one])
    const wrong = (size: number) =>
      Buffer.from(imageManifest(config, [layer]).toString().replace(`"size":${layer.length}`, `"size":${size}`))
    await putManifest(node.registry, 'short', wrong(layer.length - 1))
    await putManifest(node.registry, 'long', wrong(layer.length + 1))
    await expect(pull('short')).rejects.toMatchObject({ status: 503 })
    await expect(pull('long')).rejects.toMatchObject({ status: 503 })
    expect(one.blames).toEqual([])
    expect(await pull('a')).toBe(true)
  })

  it('may have more than the blob: what follows the digest is nobody’s', async () => {
    await open([source('one', { extra: Buffer.from('more') })])
    expect(await pull()).toBe(true)
    await committed()
  })
})

describe('staged bytes of a fetch', () => {
  it('are purged by age like those of any upload', async () => {
    const one = source('one', { holdAt: 3 * MiB })
    await open([one], { lingerMs: 0 })
    await (await node.registry.openBlob('a', digest, mayFetch)).close()
    await eventually(() => expect(one.active).toBe(0))
    node.advance(1000)
    await eventually(async () => expect(await node.registry.purgeUploads(500)).toBe(1))
    expect(await staged()).toEqual([])
  })

  it('are not purged under a fetch that goes on', async () => {
    const one = source('one', { holdAt: 3 * MiB })
    await open([one])
    const pulling = pull()
    await eventually(() => expect(one.delivered).toBe(3 * MiB))
    node.advance(1000)
    expect(await node.registry.purgeUploads(500)).toBe(0)
    one.release()
    expect(await pulling).toBe(true)
  })

  it('are no client’s session', async () => {
    const one = source('one', { holdAt: 3 * MiB })
    await open([one])
    await (await node.registry.openBlob('a', digest, mayFetch)).close()
    const [session] = await staged()
    const id = session?.id ?? ''
    const unknown = { reason: 'BLOB_UPLOAD_UNKNOWN' }
    await expect(node.registry.uploadStatus('a', id)).rejects.toMatchObject(unknown)
    node = await node.reopen()
    await expect(node.registry.appendUpload('a', id, { bytes: (async function* () {})() })).rejects.toMatchObject(
      unknown
    )
    await expect(node.registry.cancelUpload('a', id)).rejects.toMatchObject(unknown)
  })

  it('that do not fit are a full disk for the client, not a fault of the source', async () => {
    const one = source('one')
    await open([one])
    const { staging } = node
    const full = new Error('no room', { cause: Object.assign(new Error('write'), { code: 'ENOSPC' }) })
    const append = vi.spyOn(staging, 'append').mockRejectedValueOnce(full)
    await expect(pull()).rejects.toThrow('no room')
    append.mockRestore()
    expect(await pull()).toBe(true)
    expect(one.blames).toEqual([])
  })
})
