import { randomBytes } from 'node:crypto'
import http from 'node:http'
import { expect, it, onTestFinished, vi } from 'vitest'
import { type Authorize, openAccess } from '../../../src/access/authorize.ts'
import type { AuditEntry } from '../../../src/access/ports.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { FetchInit } from '../../../src/registry/components.ts'
import { type Served, serve } from '../../http/serve.ts'
import { imageManifest, openTemporaryRegistry, putManifest } from '../temporary-registry.ts'
import { type Script, ScriptedSource } from './scripted-source.ts'

const MiB = 1 << 20
const layer = randomBytes(3 * MiB + 99)
const digest = digestOf(layer)
const path = `/v2/a/blobs/${digest}`

/** A node that has the manifest of an image, and a source that has its layer. */
async function open(script: Script, fetch: FetchInit = {}, authorize: Authorize = openAccess) {
  const source = new ScriptedSource('source', [layer], script)
  const node = await openTemporaryRegistry({ sparse: 'all', fetch }, undefined, 0, { sources: [source] })
  onTestFinished(() => node.close())
  await putManifest(node.registry, 'a', imageManifest(Buffer.from('{}'), [layer]), 'v1')
  const entries: AuditEntry[] = []
  const audit = { record: (entry: AuditEntry) => void entries.push(entry) }
  return { source, ...(await serve({ authorize, components: { registry: node.registry, audit } })), entries }
}

function get(port: number): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port, path, agent: false }, resolve).on('error', reject)
  })
}

/** Until the blob is pulled from this disk: its record is there a moment before its file has the name. */
const kept = (ask: Served['ask']) =>
  vi.waitFor(async () => expect((await ask(path)).headers['x-ipfs-path']).toMatch(/^\/ipfs\/baf/), 60_000)

it('a client is answered while the blob arrives, and told its CID once it is known', async () => {
  const { source, port, ask } = await open({ holdAt: 2 * MiB })
  const response = await get(port)
  expect(response.statusCode).toBe(200)
  expect(response.headers).toMatchObject({ 'content-length': `${layer.length}`, 'docker-content-digest': digest })
  expect(response.headers).not.toHaveProperty('x-ipfs-path')
  const chunks: Buffer[] = []
  for await (const chunk of response) {
    chunks.push(chunk)
    if (Buffer.concat(chunks).length === 2 * MiB) source.release()
  }
  expect(Buffer.concat(chunks).equals(layer)).toBe(true)
  await kept(ask)
})

it('HEAD does not fetch', async () => {
  const { source, ask } = await open({})
  expect((await ask(path, { method: 'HEAD' })).status).toBe(404)
  expect(source.asked).toEqual([])
})

it('a resumed download waits for its range', async () => {
  const { source, ask } = await open({ holdAt: MiB })
  const asking = ask(path, { headers: { range: `bytes=${2 * MiB}-` } })
  await vi.waitFor(() => expect(source.delivered).toBe(MiB), 60_000)
  source.release()
  const answer = await asking
  expect(answer.status).toBe(206)
  expect(answer.body.equals(layer.subarray(2 * MiB))).toBe(true)
})

it('a response that turns out wrong is cut', async () => {
  const { source, port } = await open({ corruptAt: MiB, holdAt: layer.length - 1 })
  const response = await get(port)
  const received = new Promise<number>((resolve, reject) => {
    let count = 0
    response.on('data', chunk => {
      count += chunk.length
      if (count === 3 * MiB) source.release()
    })
    response.on('error', () => resolve(count))
    response.on('end', () => reject(new Error('completed')))
  })
  expect(await received).toBe(3 * MiB)
  await vi.waitFor(() => expect(source.blames).toEqual([digest]), 60_000)
})

it('a client that would have to wait too long is told when to come again', async () => {
  const { source, ask } = await open({ holdAt: 0 }, { answerMs: 50 })
  const answer = await ask(path)
  expect([answer.status, answer.codes, answer.headers['retry-after']]).toEqual([503, ['UNAVAILABLE'], '5'])
  source.release()
  await vi.waitFor(async () => expect((await ask(path)).status).toBe(200), 60_000)
  expect(source.asked).toHaveLength(1)
})

it('a client that hangs up stops the fetch', async () => {
  const { source, port } = await open({ holdAt: 2 * MiB }, { lingerMs: 10 })
  const response = await get(port)
  expect(source.active).toBe(1)
  response.destroy()
  await vi.waitFor(() => expect(source.active).toBe(0), 60_000)
})

it('who may pull and not fetch has nothing fetched, and is told so; what is here is pulled', async () => {
  const asked: string[] = []
  let allowed: readonly string[] = ['pull']
  const { source, ask, entries } = await open({}, {}, (_subject, action, repository) => {
    asked.push(`${action} ${repository}`)
    return allowed.includes(action)
  })
  expect(await ask(path)).toMatchObject({ status: 403, codes: ['DENIED'] })
  expect(asked).toEqual(['pull a', 'fetch a'])
  expect(await ask(`/v2/a/blobs/${digestOf(Buffer.from('none'))}`)).toMatchObject({ status: 404 })
  expect(source.asked).toEqual([])
  allowed = ['pull', 'fetch']
  expect((await ask(path)).body.equals(layer)).toBe(true)
  await kept(ask)
  allowed = ['pull']
  expect((await ask(path)).status).toBe(200)
  const about = { subject: 'anonymous', action: 'fetch', repository: 'a', reference: digest }
  await vi.waitFor(() => expect(entries.length).toBeGreaterThan(1), 60_000)
  expect(entries.slice(0, 2)).toMatchObject([
    { ...about, outcome: 'denied', status: 403 },
    { ...about, outcome: 'allowed', status: 200 }
  ])
})
