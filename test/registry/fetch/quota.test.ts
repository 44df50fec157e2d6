import { randomBytes } from 'node:crypto'
import { expect, it, onTestFinished, vi } from 'vitest'
import { parsePattern } from '../../../src/access/pattern.ts'
import { RegistryError } from '../../../src/errors.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { type QuotaRule, quotasOf } from '../../../src/registry/quotas/quota.ts'
import { serve } from '../../http/serve.ts'
import {
  imageManifest,
  linkOnly,
  mayFetch,
  openTemporaryRegistry,
  pullBlob,
  pushBlob,
  putManifest
} from '../temporary-registry.ts'
import { type Script, ScriptedSource } from './scripted-source.ts'

const MiB = 1 << 20
const hour = 60 * 60 * 1000
const config = Buffer.from('{}')
const layers = [randomBytes(3 * MiB + 99), randomBytes(3 * MiB + 98)] as const
const [layer, other] = layers
const digest = digestOf(layer)

const rule = (text: string, bytes: number, per = 24 * hour): QuotaRule => ({
  pattern: parsePattern(text),
  fetch: { patterns: text, bytes, per }
})

/** Images of two layers in some repositories, of which a source has the layers. */
async function open(rules: readonly QuotaRule[], script: Script = {}) {
  const source = new ScriptedSource('source', layers, script)
  const init = { sparse: 'all' as const, quotaOf: quotasOf(rules) }
  const node = await openTemporaryRegistry(init, undefined, 0, { sources: [source] })
  onTestFinished(() => node.close())
  for (const repository of ['team/a', 'team/b', 'other'])
    await putManifest(node.registry, repository, imageManifest(config, layers))
  const pull = async (repository: string, bytes: Uint8Array = layer) =>
    (await pullBlob(node.registry, repository, digestOf(bytes))).equals(bytes)
  const staged = async () => {
    const sizes: number[] = []
    for await (const { size } of node.staging.list()) sizes.push(size)
    return sizes
  }
  return { ...node, source, pull, staged }
}

/** The error that a pull ends in, and the seconds after which it may be tried again. */
async function refusal(pulling: Promise<unknown>) {
  const error = await pulling.then(
    () => undefined,
    (reason: unknown) => reason
  )
  if (!(error instanceof RegistryError)) throw new Error('not refused', { cause: error })
  const { reason, status, message } = error
  return { reason, status, message, wait: Number(error.headers['Retry-After']) }
}

const tooMany = { reason: 'TOOMANYREQUESTS', status: 429, message: expect.stringContaining('fetch quota of team/**') }

it('beyond the quota no fetch begins, for all repositories of the pattern together, until Retry-After is over', async () => {
  const { source, pull, advance } = await open([rule('team/**', 5 * MiB)])
  expect(await pull('team/a')).toBe(true)
  advance(2 * hour)
  const { wait, ...failure } = await refusal(pull('team/b', other))
  expect(failure).toMatchObject(tooMany)
  // The first one leaves 24 h after it came, told in sixtieths of the window.
  expect(wait).toBeGreaterThan(21.9 * 3600)
  expect(wait).toBeLessThanOrEqual(22.4 * 3600)
  expect(source.asked).toHaveLength(1)
  expect(await pull('other', other)).toBe(true)
  advance((wait - 60) * 1000)
  await expect(pull('team/b', other)).rejects.toMatchObject({ status: 429 })
  advance(60_000)
  expect(await pull('team/b', other)).toBe(true)
})

it('what is here is not counted', async () => {
  const { source, pull, registry } = await open([rule('team/**', 0)])
  await pushBlob(registry, 'team/a', layer)
  expect(await pull('team/a')).toBe(true)
  expect(source.asked).toEqual([])
})

it('a blob larger than any wait makes room for is refused as too large', async () => {
  const { source, pull } = await open([rule('team/**', layer.length - 1)])
  await expect(pull('team/a')).rejects.toMatchObject({ reason: 'BLOB_TOO_LARGE', status: 413, code: 'DENIED' })
  expect(source.asked).toEqual([])
})

it('just as much as the quota is not too much, however many wait for it', async () => {
  const { source, pull } = await open([rule('team/**', layer.length)], { extra: Buffer.from('more') })
  expect(await Promise.all(['team/a', 'team/a', 'team/a'].map(each => pull(each)))).toEqual([true, true, true])
  expect(source.asked).toHaveLength(1)
})

it('two fetches that pass it together are stopped, and what they brought is taken up again', async () => {
  const { source, pull, staged, advance } = await open([rule('team/**', 4 * MiB, hour)], { holdAt: 2 * MiB })
  const pulling = Promise.allSettled([pull('team/a'), pull('team/b', other)])
  await vi.waitFor(() => expect(source.delivered).toBe(4 * MiB), 60_000)
  source.release()
  for (const outcome of await pulling)
    expect(outcome).toMatchObject({ status: 'rejected', reason: { reason: 'TOOMANYREQUESTS' } })
  expect(source.active).toBe(0)
  expect(await staged()).toEqual([2 * MiB, 2 * MiB])
  const { wait, ...failure } = await refusal(pull('team/a'))
  expect(failure).toMatchObject(tooMany)
  expect(wait).toBeGreaterThan(3000)
  expect(wait).toBeLessThanOrEqual(3660)
  advance(hour + hour / 60)
  expect(await Promise.all([pull('team/a'), pull('team/b', other)])).toEqual([true, true])
  expect(source.asked.slice(2).map(({ offset }) => offset)).toEqual([2 * MiB, 2 * MiB])
})

it('bytes count that were thrown away, and from whichever source', async () => {
  const { source, pull } = await open([rule('team/**', 5 * MiB)], { corruptAt: 10 })
  await expect(pull('team/a')).rejects.toMatchObject({ status: 503 })
  source.script.corruptAt = -1
  expect(await refusal(pull('team/a', other))).toMatchObject(tooMany)
})

it('a blob whose size nobody says is stopped where the quota ends', async () => {
  const node = await open([rule('team/**', 2 * MiB)], { chunk: 1 << 16 })
  await linkOnly(node, 'team/c', layer)
  expect(await refusal(node.registry.openBlob('team/c', digest, mayFetch))).toMatchObject(tooMany)
  expect(node.source.delivered).toBe(2 * MiB + (1 << 16))
  expect(await node.staged()).toEqual([2 * MiB])
})

it('nobody is stopped by the quota of others who want the same blob, nor rides on theirs', async () => {
  const node = await open([rule('team/**', 4 * MiB)])
  const { source, pull } = node
  for (const repository of ['team/a', 'other']) await linkOnly(node, repository, layer)
  expect(await pull('team/a', other)).toBe(true)
  source.script.holdAt = 2 * MiB
  const free = pull('other')
  await vi.waitFor(() => expect(source.delivered).toBe(other.length + 2 * MiB), 60_000)
  expect(await refusal(pull('team/a'))).toMatchObject(tooMany)
  source.release()
  expect(await free).toBe(true)
})

it('a client is told 429 with a Retry-After', async () => {
  const { pull, registry } = await open([rule('**', 4 * MiB)])
  expect(await pull('team/a')).toBe(true)
  const { ask } = await serve({ components: { registry } })
  const answer = await ask(`/v2/other/blobs/${digestOf(other)}`)
  expect([answer.status, answer.codes]).toEqual([429, ['TOOMANYREQUESTS']])
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(86_000)
})
