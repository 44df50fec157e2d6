/** Requests of an enemy: each gets its exact answer, none makes an error of ours, and nothing of them stays behind. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RegistryError } from '../../src/errors.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { type HostileRequest, hostileRequests } from './hostile-requests.ts'
import { codesOf, configBytes, openSession, pushImage, type Server, startServer } from './server.ts'
import { exchange, requestOf } from './wire.ts'

let server: Server
/** A second door to the same registry, for those who want to keep it waiting. */
let hasty: Server
let manifest: Buffer
let before: Awaited<ReturnType<typeof resources>>

beforeAll(async () => {
  server = await startServer()
  const patience = { app: { timeouts: { bodyStallMs: 400 } }, listen: { headersTimeoutMs: 400 } }
  hasty = await startServer({ ...patience, store: server.store })
  manifest = await pushImage(server, 'app', 'v1')
  // Whatever is opened once and kept is open now.
  for (let round = 0; round < 3; round++) await expectHealthy()
  const session = await openSession(server, 'app')
  await server.ask(session, { method: 'PATCH', body: 'warm' })
  await server.ask(session, { method: 'DELETE' })
  before = await resources()
})
afterAll(async () => {
  await hasty.close()
  await server.close()
})

/** What a request must not leave behind. */
async function resources() {
  const { store, app } = server
  let sessions = 0
  for await (const _ of store.metadata.uploads()) sessions++
  const descriptors = process.platform === 'linux' ? (await readdir('/proc/self/fd')).length : 0
  const timers = process.getActiveResourcesInfo().filter(kind => kind === 'Timeout').length
  return {
    sessions,
    stagedFiles: (await readdir(join(store.folder, 'uploads'), { recursive: true })).length,
    connections: app.connections.count + hasty.app.connections.count,
    descriptors,
    timers
  }
}

function expectNoErrors(): void {
  const lines = [...server.log.lines, ...hasty.log.lines]
  // That there is no room for ten terabytes is worth a line.
  const full = ({ fields }: (typeof lines)[number]) =>
    'err' in fields && fields.err instanceof RegistryError && fields.err.reason === 'STORAGE_FULL'
  expect(lines.filter(line => line.level === 'error' && !full(line))).toEqual([])
}

async function expectHealthy(): Promise<void> {
  const got = await server.ask('/v2/app/manifests/v1')
  expect(got.status).toBe(200)
  expect(got.body.equals(manifest)).toBe(true)
  const blob = await server.ask(`/v2/app/blobs/${digestOf(configBytes)}`)
  expect(blob.body.equals(configBytes)).toBe(true)
}

async function attack({ send, statuses, code, hasty: soon, ...options }: HostileRequest): Promise<void> {
  const session = send.includes('{session}') || send.includes('{id}') ? await openSession(server, 'app') : ''
  const [id = ''] = /[0-9a-f]{8}-[0-9a-f-]+/.exec(session) ?? []
  const filled = Buffer.from(send.toString('latin1').replaceAll('{session}', session).replaceAll('{id}', id), 'latin1')
  const answers = await exchange(soon === true ? hasty.port : server.port, filled, options)
  const seen = answers.map(answer => answer.status)
  const last = answers.at(-1)
  const codes = last === undefined ? [] : codesOf(last.status, last.body)
  expect({ statuses: seen, code: codes[0] }).toEqual({ statuses, code })
  for (const { headers } of answers) {
    expect(headers['docker-distribution-api-version']).toBe('registry/2.0')
    expect(headers).not.toHaveProperty('x-evil')
  }
  if (session !== '') expect([204, 404]).toContain((await server.ask(session, { method: 'DELETE' })).status)
}

describe('a hostile request', () => {
  it.each(hostileRequests.map(request => [request.name, request] as const))(
    '%s',
    { timeout: 30_000 },
    async (_, request) => {
      await attack(request)
      await expectHealthy()
      expectNoErrors()
    }
  )

  it('pipelined without end is cut off', async () => {
    const many = Buffer.concat(Array<Buffer>(10_000).fill(requestOf('GET', '/v2/', ['Connection: keep-alive'])))
    const answers = await exchange(server.port, many)
    expect(answers.length).toBeLessThan(10_000)
    expect(answers.every(answer => answer.status === 200)).toBe(true)
    await expectHealthy()
  })

  it('is one of at least 150, no two with one name', () => {
    expect(hostileRequests.length).toBeGreaterThanOrEqual(150)
    expect(new Set(hostileRequests.map(request => request.name)).size).toBe(hostileRequests.length)
  })

  it('leaves no tag, session, staged file, connection, descriptor or timer behind', async () => {
    await expect.poll(resources, { timeout: 20_000, interval: 100 }).toEqual({
      ...before,
      descriptors: expect.toSatisfy((count: number) => count <= before.descriptors),
      timers: expect.toSatisfy((count: number) => count <= before.timers + 1)
    })
    const tags = await server.ask('/v2/app/tags/list')
    expect(JSON.parse(tags.body.toString())).toEqual({ name: 'app', tags: ['v1'] })
    const catalog = await server.ask('/v2/_catalog')
    expect(JSON.parse(catalog.body.toString())).toEqual({ repositories: ['app'] })
  })

  it('costs no memory, however often it comes', { timeout: 120_000 }, async () => {
    const quick = hostileRequests.filter(request => request.hasty === undefined)
    const round = async () => {
      for (const request of quick) await attack(request)
    }
    await round()
    const settled = process.memoryUsage().rss
    await round()
    await round()
    expect(process.memoryUsage().rss - settled).toBeLessThan(128 * 1024 * 1024)
    expectNoErrors()
  })
})
