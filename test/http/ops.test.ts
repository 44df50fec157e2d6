import { once } from 'node:events'
import https from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openAccess } from '../../src/access/authorize.ts'
import { createApp } from '../../src/http/app.ts'
import { measureDamage } from '../../src/http/damage-gauge.ts'
import { createDebugApp } from '../../src/http/debug-app.ts'
import { listen } from '../../src/http/listen.ts'
import { createHttpMetrics } from '../../src/http/metrics.ts'
import { createCertificate, hasOpenssl } from './certificate.ts'
import { MemoryRegistry } from './memory-registry.ts'
import { ask, memoryLog, serve } from './serve.ts'

describe('probes', () => {
  it('say alive always, and ready unless a check fails', async () => {
    const failing: Record<string, string> = {}
    const health = { failures: () => failing }
    const served = await serve({ components: { health } })
    expect((await served.ask('/livez')).status).toBe(200)
    expect((await served.ask('/readyz')).status).toBe(200)
    expect((await served.ask('/')).status).toBe(200)
    failing.storagedriver = 'probe failed 3 times: EIO'
    const answer = await served.ask('/readyz')
    expect(answer).toMatchObject({ status: 503, codes: ['UNAVAILABLE'] })
    expect(answer.body.toString()).toContain('EIO')
    expect((await served.ask('/livez')).status).toBe(200)
    expect((await served.ask('/livez', { method: 'HEAD' })).status).toBe(200)
  })
})

it('/readyz has what there is to know of a node that serves, on both listeners; a failing check comes first', async () => {
  const failing: Record<string, string> = {}
  const damaged = { blobs: 1, manifests: 0 }
  const health = { failures: () => failing, notices: async () => ({ damaged }) }
  const served = await serve({ components: { health } })
  const debug = createDebugApp({ health, log: memoryLog() })
  onTestFinished(() => debug.close())
  const answer = await served.ask('/readyz')
  expect({ status: answer.status, body: JSON.parse(answer.body.toString()) }).toEqual({
    status: 200,
    body: { status: 'ok', damaged }
  })
  expect((await debug.inject('/debug/health')).json()).toEqual({ status: 'ok', damaged })
  failing.storagedriver = 'EIO'
  expect((await served.ask('/readyz')).status).toBe(503)
  expect((await debug.inject('/readyz')).statusCode).toBe(503)
})

describe('metrics', () => {
  it('have what is lost, as it is when they are read', async () => {
    const metrics = createHttpMetrics()
    const registry = new MemoryRegistry()
    measureDamage(metrics, registry)
    const seen = async () => (await metrics.registry.metrics()).match(/^pinnace_damaged.*$/gm)
    expect(await seen()).toEqual(['pinnace_damaged{kind="blob"} 0', 'pinnace_damaged{kind="manifest"} 0'])
    registry.damage = { blobs: 3, manifests: 1 }
    expect(await seen()).toEqual(['pinnace_damaged{kind="blob"} 3', 'pinnace_damaged{kind="manifest"} 1'])
  })

  it('count by endpoint, method and status, with nothing a client chose', async () => {
    const metrics = createHttpMetrics()
    const served = await serve({ components: { metrics } })
    const digest = served.registry.addBlob('app', Buffer.alloc(1000))
    await served.ask(`/v2/app/blobs/${digest}`)
    await served.ask('/v2/app/manifests/none')
    await served.ask('/v2/app/manifests/other')
    await served.ask('/v2/secret/unknown')
    await served.ask('/livez')
    const post = await served.ask('/v2/app/blobs/uploads/', { method: 'POST' })
    await served.ask(String(post.headers.location), { method: 'PATCH', body: Buffer.alloc(77) })
    const debug = createDebugApp({ metrics, log: memoryLog() })
    onTestFinished(() => debug.close())
    const seen = async () => (await debug.inject('/metrics')).body
    // A response is counted when it closed, which is after the client has read it.
    await expect.poll(seen).toContain('pinnace_http_requests_total{route="end-5",method="PATCH",status="202"} 1')
    const text = await seen()
    expect(text).toContain('pinnace_http_requests_total{route="end-2",method="GET",status="200"} 1')
    expect(text).toContain('pinnace_http_requests_total{route="end-3",method="GET",status="404"} 2')
    expect(text).toContain('pinnace_http_request_duration_seconds_count{route="end-3",method="GET",status="404"} 2')
    expect(text).toContain('pinnace_http_requests_in_flight 0')
    expect(text).toContain('pinnace_http_received_bytes_total 77')
    expect(text).toMatch(/pinnace_http_sent_bytes_total 1\d{3}/)
    expect(text).toContain('process_resident_memory_bytes')
    expect(text).not.toMatch(/secret|none|app/)
    expect((await debug.inject('/debug/health')).statusCode).toBe(200)
    expect((await debug.inject('/nothing')).json().errors[0].code).toBe('UNSUPPORTED')
  })
})

it('the debug listener takes few connections, small requests, and tells errors as all doors do', async () => {
  const debug = createDebugApp({ log: memoryLog() })
  onTestFinished(() => debug.close())
  await debug.listen({ host: '127.0.0.1', port: 0 })
  const { port } = debug.server.address() as AddressInfo
  const broken = await ask(port, '/%zz')
  expect(broken).toMatchObject({ status: 400, codes: ['UNSUPPORTED'] })
  const sockets = Array.from({ length: 64 }, () => connect(port, '127.0.0.1'))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  const probe = () =>
    ask(port, '/livez').then(
      ({ status }) => status,
      () => 'cut'
    )
  await Promise.all(sockets.map(socket => once(socket, 'connect')))
  await expect.poll(probe).toBe('cut')
  sockets[0]?.destroy()
  await expect.poll(probe).toBe(200)
})

it('a client that hung up before its answer is counted and logged as that, not as served', async () => {
  const metrics = createHttpMetrics()
  const served = await serve({ components: { metrics }, init: { accessLog: true } })
  const gate = Promise.withResolvers<void>()
  served.registry.gate = gate.promise
  const wire = await served.connect()
  wire.socket.write('GET /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n')
  await expect.poll(() => served.registry.signals.length).toBe(1)
  wire.socket.resetAndDestroy()
  const counted = 'pinnace_http_requests_total{route="end-3",method="GET",status="499"} 1'
  await expect.poll(() => metrics.registry.metrics()).toContain(counted)
  gate.resolve()
  expect(served.log.lines.find(({ message }) => message === 'request')?.fields).toMatchObject({ status: 499 })
})

describe('access log', () => {
  it('has one line a request, and no credential in any', async () => {
    const served = await serve({ init: { accessLog: true } })
    const headers = { Authorization: 'Bearer s3cret', Cookie: 'session=s3cret', 'User-Agent': 'crane/1' }
    await served.ask('/v2/app/tags/list?n=3&token=s3cret&last=a', { headers })
    const wire = await served.connect()
    wire.socket.write(
      'GET http://user:s3cret@host/v2/?access_token=s3cret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    )
    await wire.closed
    await expect.poll(() => served.log.lines.length).toBe(2)
    expect(served.log.lines[0]).toMatchObject({
      level: 'info',
      fields: {
        method: 'GET',
        url: '/v2/app/tags/list?n=3&token=***&last=a',
        status: 404,
        complete: true,
        userAgent: 'crane/1'
      }
    })
    expect(JSON.stringify(served.log.lines)).not.toContain('s3cret')
  })

  it('is off by default', async () => {
    const { ask, log } = await serve()
    await ask('/v2/')
    expect(log.lines).toEqual([])
  })
})

describe('listening', () => {
  const components = () => ({ registry: new MemoryRegistry(), authorize: openAccess, log: memoryLog() })

  it('serves on several addresses and stops on all', async () => {
    const listening = await listen(createApp(components()), [
      { host: '127.0.0.1', port: 0 },
      { host: '::1', port: 0 }
    ])
    expect(listening.urls).toEqual([
      expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      expect.stringMatching(/^http:\/\/\[::1\]:\d+$/)
    ])
    for (const url of listening.urls) expect((await fetch(`${url}/v2/`)).status).toBe(200)
    expect(await listening.drain(1000)).toBe(0)
    for (const url of listening.urls) await expect(fetch(`${url}/v2/`)).rejects.toThrow()
  })

  it('listens nowhere when one address is taken', async () => {
    const taken = await serve()
    const free = await serve()
    await free.listening.drain(0)
    const addresses = [free.port, taken.port].map(port => ({ host: '127.0.0.1', port }))
    await expect(listen(createApp(components()), addresses)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await expect(ask(free.port, '/v2/')).rejects.toThrow(/ECONNREFUSED/)
  })

  it.runIf(hasOpenssl)(
    '(needs: apt-get install openssl) speaks TLS with a certificate, absolute locations included',
    async () => {
      const app = createApp(components(), { relativeUrls: false })
      const tls = createCertificate()
      const listening = await listen(app, [{ host: '127.0.0.1', port: 0 }], { tls })
      onTestFinished(async () => void (await listening.drain(0)))
      const [url = ''] = listening.urls
      const answer = await new Promise<{ status: number | undefined; location: string | undefined }>(
        (resolve, reject) => {
          const options = { method: 'POST', rejectUnauthorized: false, agent: false } as const
          const request = https.request(`${url}/v2/app/blobs/uploads/`, options, response => {
            response.resume()
            resolve({ status: response.statusCode, location: response.headers.location })
          })
          request.on('error', reject).end()
        }
      )
      expect(answer.status).toBe(202)
      expect(answer.location?.startsWith(`${url}/v2/app/blobs/uploads/`)).toBe(true)
    }
  )
})
