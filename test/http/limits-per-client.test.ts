import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Subject } from '../../src/access/subject.ts'
import { RegistryError } from '../../src/errors.ts'
import { ClientLimits, type ClientLimitsInit, type Limit } from '../../src/http/client-limits.ts'
import { createHttpMetrics } from '../../src/http/metrics.ts'
import type { Client } from '../../src/http/source.ts'
import { ask, serve } from './serve.ts'

const at = (address: string): Client => ({ address, scheme: 'http', host: 'x' })
const user = (name: string): Subject => ({ kind: 'user', name, groups: [] })

function bench(init: ClientLimitsInit) {
  const clock = { now: 0 }
  const hits: Limit[] = []
  const limits = new ClientLimits({ now: () => clock.now, limited: limit => void hits.push(limit) }, init)
  /** Seconds to wait; 0 when it was let in. */
  const wait = (address: string, subject?: Subject): number => {
    try {
      limits.admit(at(address), subject)?.leave()
      return 0
    } catch (error) {
      if (!(error instanceof RegistryError) || error.reason !== 'TOOMANYREQUESTS') throw error
      return Number(error.headers['Retry-After'])
    }
  }
  return { clock, hits, limits, wait }
}

describe('the rate', () => {
  it('lets a burst through, then tells how long to wait, and that is true', () => {
    const { clock, hits, wait } = bench({ rate: 0.5, burst: 3 })
    expect([1, 2, 3].map(() => wait('192.0.2.1'))).toEqual([0, 0, 0])
    expect(wait('192.0.2.1')).toBe(2)
    clock.now = 500
    // Being refused costs nothing.
    expect([1, 2, 3].map(() => wait('192.0.2.1'))).toEqual([2, 2, 2])
    clock.now = 1999
    expect(wait('192.0.2.1')).toBe(1)
    clock.now = 2000
    expect([wait('192.0.2.1'), wait('192.0.2.1')]).toEqual([0, 2])
    clock.now = 1_000_000
    expect([1, 2, 3, 4].map(() => wait('192.0.2.1'))).toEqual([0, 0, 0, 2])
    expect(new Set(hits)).toEqual(new Set(['rate']))
  })

  it('holds in the long run', () => {
    const { clock, wait } = bench({ rate: 7, burst: 20 })
    let served = 0
    for (; clock.now < 100_000; clock.now += 10) if (wait('192.0.2.1') === 0) served++
    expect(served).toBeGreaterThanOrEqual(718)
    expect(served).toBeLessThanOrEqual(720)
  })

  it('is of each client: an address, a /64 network, whoever signed in', () => {
    const { wait } = bench({ rate: 1, burst: 1 })
    expect(wait('192.0.2.1')).toBe(0)
    expect(wait('192.0.2.1')).toBe(1)
    expect(wait('192.0.2.2')).toBe(0)
    expect(wait('2001:db8:0:1::1')).toBe(0)
    expect(wait('2001:db8:0:1:ffff::2')).toBe(1)
    expect(wait('2001:db8:0:2::1')).toBe(0)
    expect(wait('192.0.2.1', user('ada'))).toBe(0)
    expect(wait('192.0.2.9', user('ada'))).toBe(1)
    expect(wait('192.0.2.1', user('bob'))).toBe(0)
    expect(wait('192.0.2.1', { kind: 'anonymous' })).toBe(1)
  })
})

it('requests at once are counted until they are over', () => {
  const { limits, wait } = bench({ requests: 2 })
  const visits = [limits.admit(at('192.0.2.1'), undefined), limits.admit(at('192.0.2.1'), undefined)]
  expect(wait('192.0.2.1')).toBe(1)
  expect(wait('192.0.2.2')).toBe(0)
  visits[0]?.leave()
  expect(wait('192.0.2.1')).toBe(0)
  visits[1]?.leave()
  expect(limits.size).toBe(0)
})

it('this machine is not bounded', () => {
  const { limits, wait } = bench({ rate: 1, burst: 1, requests: 1 })
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '']) expect([wait(address), wait(address)]).toEqual([0, 0])
  expect(limits.size).toBe(0)
})

it('never remembers more clients than it may, and forgets none that is being answered', () => {
  const { clock, limits, wait } = bench({ rate: 0.001, burst: 1, requests: 5, clients: 100 })
  const visit = limits.admit(at('10.0.0.0'), undefined)
  for (let n = 1; n < 5000; n++) expect(wait(`10.0.${n >> 8}.${n & 255}`)).toBe(0)
  expect(limits.size).toBeLessThanOrEqual(100)
  expect(wait('10.0.0.0')).toBeGreaterThan(0)
  visit?.leave()
  clock.now = 1e9
  expect(wait('10.9.9.9')).toBe(0)
  expect(limits.size).toBeLessThanOrEqual(100)
})

describe('over HTTP', () => {
  const proxied = (client: ClientLimitsInit) =>
    serve({ init: { trustProxy: ['loopback'], limits: { client }, timeouts: { uploadQueueMs: 30 } } })
  const of = (address: string) => ({ 'X-Forwarded-For': address })

  it('too many requests get 429 with Retry-After, whatever they ask but for probes; others do not notice', async () => {
    const { port } = await proxied({ rate: 0.001, burst: 2 })
    const get = (path: string, address: string) => ask(port, path, { headers: of(address) })
    for (const path of ['/v2/', '/no/such']) expect((await get(path, '192.0.2.1')).status).not.toBe(429)
    for (const path of ['/v2/', '/v2/_catalog', '/no/such', '/v2/UPPER/x/']) {
      const answer = await get(path, '192.0.2.1')
      expect(answer).toMatchObject({ status: 429, codes: ['TOOMANYREQUESTS'] })
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(900)
    }
    expect((await get('/livez', '192.0.2.1')).status).toBe(200)
    expect((await get('/readyz', '192.0.2.1')).status).toBe(200)
    expect((await get('/v2/', '192.0.2.2')).status).toBe(200)
    expect((await ask(port, '/v2/')).status).toBe(200)
  })

  it('an upload beyond the client’s number waits, then gets 429; one of another client does not wait', async () => {
    const metrics = createHttpMetrics()
    const served = await serve({
      init: { trustProxy: ['loopback'], limits: { client: { uploads: 1 } }, timeouts: { uploadQueueMs: 30 } },
      components: { metrics }
    })
    const open = async () => String((await served.ask('/v2/app/blobs/uploads/', { method: 'POST' })).headers.location)
    const [first, second] = [await open(), await open()]
    const wire = await served.connect()
    wire.socket.write(`PATCH ${first} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nContent-Length: 9\r\n\r\nab`)
    await expect.poll(() => served.registry.signals.length).toBeGreaterThan(0)
    const patch = (address: string) => served.ask(second, { method: 'PATCH', body: 'xyz', headers: of(address) })
    expect(await patch('192.0.2.1')).toMatchObject({ status: 429, codes: ['TOOMANYREQUESTS'] })
    expect((await patch('192.0.2.2')).status).toBe(202)
    expect(await metrics.registry.metrics()).toContain('pinnace_http_limited_total{limit="uploads"} 1')
    wire.socket.destroy()
    await expect.poll(async () => (await patch('192.0.2.1')).status).toBe(202)
  })

  it('a push of many layers at once and a pull by many ranges are let through by default', async () => {
    const { port } = await proxied({})
    const headers = of('192.0.2.1')
    const push = async (n: number) => {
      const body = Buffer.from(`layer ${n}`)
      const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`
      const path = `/v2/app/blobs/uploads/?digest=${digest}`
      return (await ask(port, path, { method: 'POST', body, headers })).status
    }
    expect(new Set(await Promise.all(Array.from({ length: 120 }, (_, n) => push(n))))).toEqual(new Set([201]))
    const pulls = Array.from({ length: 300 }, async () => (await ask(port, '/v2/', { headers })).status)
    expect(new Set(await Promise.all(pulls))).toEqual(new Set([200]))
  })
})
