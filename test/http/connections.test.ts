import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { networkInterfaces } from 'node:os'
import { connect as connectTls } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Connections, type ConnectionsInit } from '../../src/http/connections.ts'
import { createHttpMetrics } from '../../src/http/metrics.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { createCertificate, hasOpenssl } from './certificate.ts'
import { serve } from './serve.ts'

const location = async (served: Awaited<ReturnType<typeof serve>>) =>
  String((await served.ask('/v2/app/blobs/uploads/', { method: 'POST' })).headers.location)

/** Status lines of everything a raw connection received. */
const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(match => Number(match[1]))

describe('bytes that are no request', () => {
  it.each([
    ['garbage', 'NOT HTTP AT ALL\r\n\r\n', 400],
    ['a space in the target', 'GET /v2/ x HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['headers beyond the limit', `GET /v2/ HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
    [
      'two lengths',
      'POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
      400
    ],
    [
      'length and chunks',
      'POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400
    ],
    ['no Host', 'GET /v2/ HTTP/1.1\r\n\r\n', 400],
    ['CONNECT', 'CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    ['an unknown expectation', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n', 417]
  ])('%s', async (_, bytes, status) => {
    const { connect } = await serve()
    const wire = await connect()
    wire.socket.write(bytes)
    const text = await wire.closed
    expect(statuses(text)).toEqual([status])
    const body = JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4))
    expect(body.errors).toHaveLength(1)
  })

  it('a TLS hello is told what to do, in HTTP to the client and once in the log', async () => {
    const { port, log } = await serve()
    for (let round = 0; round < 2; round++) {
      const failure = await new Promise<Error>(resolve => connectTls({ port, host: '127.0.0.1' }).on('error', resolve))
      expect(failure.message).toMatch(/wrong version number|packet length/i)
    }
    const warnings = log.lines.filter(line => line.level === 'warn')
    expect(warnings).toHaveLength(1)
    expect(warnings[0]?.message).toContain('insecure-registries')
  })

  it('a TLS hello is answered in plain HTTP, which Go’s clients recognise', async () => {
    const { connect } = await serve()
    const wire = await connect()
    wire.socket.write(Buffer.from([0x16, 0x03, 0x01, 0x00, 0x05, 1, 0, 0, 1, 3]))
    expect(await wire.closed).toMatch(/^HTTP\/1\.1 400 .*not TLS/s)
  })

  it('a chunk that is none ends the upload with 400 and keeps the session', async () => {
    const served = await serve()
    const path = await location(served)
    const wire = await served.connect()
    wire.socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n`)
    expect(statuses(await wire.closed)).toEqual([400])
    expect((await served.ask(path)).headers.range).toBe('0-1')
  })
})

describe('requests of other forms', () => {
  it.each([
    ['absolute form', 'GET http://user:secret@elsewhere/v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', [200]],
    ['HTTP/1.0 without Host', 'GET /v2/ HTTP/1.0\r\n\r\n', [200]],
    [
      'pipelined',
      'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\nGET /v2/no HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      [200, 404]
    ],
    ['a body with GET', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc', [200]]
  ])('%s', async (_, bytes, expected) => {
    const { connect } = await serve()
    const wire = await connect()
    wire.socket.write(bytes)
    expect(statuses(await wire.closed)).toEqual(expected)
  })

  it('requests behind a slow one wait unread, and too many of them end the connection', async () => {
    const { connect, registry } = await serve()
    const gate = Promise.withResolvers<void>()
    registry.gate = gate.promise
    registry.addManifest('app', Buffer.from('m'), { tags: ['v1'] })
    const digest = registry.addBlob('app', Buffer.from('bbbbbbbbbb'))
    const slow = 'GET /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n'
    const behind = `GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`
    const patient = await connect()
    patient.socket.write(slow + behind.repeat(5))
    const greedy = await connect()
    greedy.socket.write(slow + behind.repeat(50))
    expect(await greedy.closed).toBe('')
    expect(registry.open).toBe(0)
    gate.resolve()
    await patient.until(/(?:HTTP\/1\.1 200.*){6}b{10}$/s)
    expect(registry.open).toBe(0)
  })

  it('garbage behind a request cuts the connection without mixing into its answer', async () => {
    const { connect, registry } = await serve()
    const gate = Promise.withResolvers<void>()
    registry.gate = gate.promise
    const wire = await connect()
    wire.socket.write('GET /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\n')
    expect(statuses(await wire.closed)).toEqual([400])
    gate.resolve()
  })

  describe('with Upgrade', () => {
    /** What Java's HttpClient sends with every first request. */
    const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n'
    const get = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`
    const last = get('/v2/no', 'Connection: close\r\n')

    it.each([
      ['in one packet', [get('/v2/', h2c) + get('/v2/app/tags/list') + last], [200, 404, 404]],
      ['one by one', [get('/v2/', h2c), get('/v2/app/tags/list', h2c), last], [200, 404, 404]],
      [
        'torn',
        [get('/v2/', h2c).slice(0, 40), get('/v2/', h2c).slice(40) + last.slice(0, 20), last.slice(20)],
        [200, 404]
      ],
      ['many, all with it', [get('/v2/', h2c).repeat(30) + last], [...Array(30).fill(200), 404]],
      ['behind one without', [get('/v2/app/tags/list') + get('/v2/', h2c) + last], [404, 200, 404]],
      ['of a WebSocket', [get('/v2/', 'Connection: upgrade\r\nupgrade: websocket\r\n') + last], [200, 404]],
      ['without a Host', [`GET /v2/ HTTP/1.1\r\n${h2c}\r\n`], [400]]
    ])('are answered as if they had none, in order: %s', async (_, packets, expected) => {
      const { connect, log } = await serve({ init: { accessLog: true } })
      const wire = await connect()
      let answered = 0
      for (const packet of packets) {
        wire.socket.write(packet)
        // The next is sent when this one was read: when it was answered, or a moment later.
        answered += packet.split(/\r\n\r\n/).length - 1
        if (packet !== packets.at(-1)) await wire.until(new RegExp(`^(?:.*?HTTP/1\\.1 ){${answered}}`, 's'))
      }
      const text = await wire.closed
      expect(statuses(text)).toEqual(expected)
      expect(text).not.toMatch(/^upgrade:/im)
      expect(log.lines.filter(line => line.message === 'request')).toHaveLength(expected.length)
    })

    it('have their bodies taken, and 100 Continue', async () => {
      const served = await serve()
      const body = 'what is pushed'
      const digest = digestOf(Buffer.from(body))
      const wire = await served.connect()
      const start = 'POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n'
      wire.socket.write(`${start}${h2c}\r\n`)
      // Without the offset: what is sent to it goes behind what there is.
      const path = /^location: (.*)\/0\r$/im.exec(await wire.until(/HTTP\/1.1 202.*\r\n\r\n/s))?.[1]
      wire.socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n${h2c}Expect: 100-continue\r\n\r\n`)
      await wire.until(/HTTP\/1.1 100 Continue/)
      const finish = `PUT ${path}?digest=${digest} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n`
      wire.socket.write(`${body.slice(0, 5)}${finish}${h2c}\r\n9\r\n${body.slice(5)}\r\n0\r\n\r\n${last}`)
      expect(statuses(await wire.closed)).toEqual([202, 100, 202, 201, 404])
      expect((await served.ask(`/v2/app/blobs/${digest}`)).body.toString()).toBe(body)
    })

    it.each([
      ['with it', h2c],
      ['without', '']
    ])('hide no request in their body, however many headers come before its length: %s', async (_, upgrade) => {
      const served = await serve({ init: { accessLog: true } })
      const path = await location(served)
      const body = get('/v2/app/tags/list')
      for (const count of [1000, 1040, 2100]) {
        const wire = await served.connect()
        const many = 'a:\r\n'.repeat(count)
        wire.socket.write(
          `PATCH ${path} HTTP/1.1\r\nHost: x\r\n${upgrade}${many}Content-Length: ${body.length}\r\n\r\n${body}`
        )
        expect(statuses(await wire.closed)).toEqual([431])
      }
      const refused = { message: 'request', fields: { status: 431 } }
      const lines = served.log.lines.filter(line => line.message === 'request')
      expect(lines.slice(1)).toMatchObject([refused, refused, refused])
    })

    it.runIf(hasOpenssl)('are answered over TLS (which needs: apt-get install openssl)', async () => {
      const { port, app } = await serve({ listenInit: { tls: createCertificate() } })
      const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      onTestFinished(() => void socket.destroy())
      let text = ''
      socket.on('data', chunk => {
        text += chunk.toString('latin1')
      })
      socket.write(get('/v2/', h2c) + get('/v2/app/tags/list', h2c) + last)
      await once(socket, 'end')
      expect(statuses(text)).toEqual([200, 404, 404])
      await expect.poll(() => app.connections.count).toBe(0)
    })

    it('are many on one connection, which is counted once and listened to once', async () => {
      const { app, connect, registry, log } = await serve()
      registry.addManifest('app', Buffer.from('m'), { tags: ['v1'] })
      const wire = await connect()
      const warnings: Error[] = []
      const warned = (warning: Error) => warnings.push(warning)
      process.on('warning', warned)
      onTestFinished(() => void process.off('warning', warned))
      for (let count = 1; count <= 40; count++) {
        wire.socket.write(get('/v2/app/manifests/v1', h2c))
        await expect.poll(() => statuses(wire.text).length).toBe(count)
      }
      expect(app.connections.count).toBe(1)
      wire.socket.write(last)
      expect(statuses(await wire.closed)).toEqual([...Array(40).fill(200), 404])
      await expect.poll(() => app.connections.count).toBe(0)
      expect([warnings, log.lines.filter(line => line.level === 'error')]).toEqual([[], []])
    })

    it('wait behind a slow one, also for a client that closed its half', async () => {
      const { connect, registry } = await serve()
      const gate = Promise.withResolvers<void>()
      registry.gate = gate.promise
      registry.addManifest('app', Buffer.from('m'), { tags: ['v1'] })
      const wire = await connect()
      wire.socket.end(get('/v2/app/manifests/v1') + get('/v2/app/manifests/v1', h2c) + last)
      await expect.poll(() => registry.signals.length).toBe(1)
      gate.resolve()
      expect(statuses(await wire.closed)).toEqual([200, 200, 404])
    })

    it('leave nothing behind when the client hangs up', async () => {
      const { app, connect, registry, log } = await serve()
      registry.gate = new Promise(() => undefined)
      registry.addManifest('app', Buffer.from('m'), { tags: ['v1'] })
      const wire = await connect()
      wire.socket.write(get('/v2/app/manifests/v1') + get('/v2/', h2c) + last)
      await expect.poll(() => registry.signals.length).toBe(1)
      wire.socket.resetAndDestroy()
      await expect.poll(() => app.connections.count).toBe(0)
      await expect.poll(() => registry.signals.at(-1)?.aborted).toBe(true)
      expect(log.lines.filter(line => line.level === 'error')).toEqual([])
    })
  })

  it('a client that closed its half still gets its answer', async () => {
    const { connect } = await serve()
    const wire = await connect()
    wire.socket.end('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(statuses(await wire.closed)).toEqual([200])
  })

  it('a client that hung up before its answer began is worked for no longer', async () => {
    const { registry, connect } = await serve({ init: { timeouts: { halfClosedMs: 30 } } })
    registry.gate = new Promise(() => undefined)
    const wire = await connect()
    wire.socket.end('GET /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(await wire.closed).toBe('')
    await expect.poll(() => registry.signals.at(-1)?.aborted).toBe(true)
  })

  it('a body cut by a half-close is 400, and what arrived is kept', async () => {
    const served = await serve()
    const path = await location(served)
    const wire = await served.connect()
    wire.socket.end(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc`)
    expect(statuses(await wire.closed)).toEqual([400])
    expect((await served.ask(path)).headers.range).toBe('0-2')
    expect(served.log.lines.filter(line => line.level === 'error')).toEqual([])
  })
})

describe('headers that are too long', () => {
  const ranges = (bytes: number) => `bytes=${'10-11,'.repeat(bytes / 6)}12-`

  it.each([
    ['a Range within the limit', [`Range: ${ranges(31_000)}`], 404],
    ['a Range beyond the limit', [`Range: ${ranges(33_000)}`], 400],
    ['a Range beyond what is read', [`Range: ${ranges(60_000)}`], 400],
    ['a Range of a hundred packets', [`rAnGe:${ranges(600_000)}`], 400],
    ['another header beyond the limit', [`X: ${'y'.repeat(16_400)}`], 431],
    ['another header beyond what is read', [`X: ${'y'.repeat(60_000)}`], 431],
    [
      'a Range within the limit and another header beyond it',
      [`Range: ${ranges(30_000)}`, `X: ${'y'.repeat(60_000)}`],
      431
    ],
    ['many headers', Array(1000).fill('Some-Header: a'), 431]
  ])('%s', async (_, headers, status) => {
    const { connect, registry } = await serve()
    const none = digestOf(Buffer.from('none'))
    expect(registry.blobs.size).toBe(0)
    // At once, and in packets that split names and values anywhere.
    for (const size of [Number.POSITIVE_INFINITY, 1009]) {
      const wire = await connect()
      const bytes = `GET /v2/app/blobs/${none} HTTP/1.1\r\nHost: x\r\n${headers.join('\r\n')}\r\nConnection: close\r\n\r\n`
      for (let at = 0; at < bytes.length && wire.socket.writable; at += size) {
        await new Promise(resolve => wire.socket.write(bytes.slice(at, at + size), () => setImmediate(resolve)))
      }
      const text = await wire.closed
      expect(statuses(text)).toEqual([status])
      if (status === 400) expect(text).toContain('ask for fewer ranges')
    }
  })
})

describe('timeouts', () => {
  it('a connection that says nothing is closed', async () => {
    const { connect } = await serve({ listenInit: { headersTimeoutMs: 60 } })
    const wire = await connect()
    expect(statuses(await wire.closed)).toEqual([408])
  })

  it('headers that do not come are 408', async () => {
    const { connect } = await serve({ listenInit: { headersTimeoutMs: 60 } })
    const wire = await connect()
    wire.socket.write('GET /v2/ HTTP/1.1\r\nHost: ')
    const text = await wire.closed
    expect(statuses(text)).toEqual([408])
    expect(text).toContain('"code":"UNSUPPORTED"')
  })

  it('a stalled upload is 408, says where it stands, and can go on', async () => {
    const served = await serve({ init: { timeouts: { bodyStallMs: 40 } } })
    const path = await location(served)
    const wire = await served.connect()
    wire.socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc`)
    const text = await wire.closed
    expect(statuses(text)).toEqual([408])
    expect(text).toMatch(/^connection: close/im)
    expect(text).toMatch(/^range: 0-2/im)
    expect(text).toContain('BLOB_UPLOAD_INVALID')
    const stands = /^location: (\S+)/im.exec(text)?.[1] ?? ''
    expect(stands).toBe(path.replace(/0$/, '3'))
    expect(await served.ask(stands, { method: 'PATCH', body: 'def' })).toMatchObject({
      status: 202,
      headers: { range: '0-5' }
    })
  })

  it('a request that is answered early is logged then, not when its rest was read away', async () => {
    const metrics = createHttpMetrics()
    const init = { accessLog: true, timeouts: { bodyStallMs: 40 } }
    const served = await serve({ init, components: { metrics } })
    const path = await location(served)
    const lines = () => served.log.lines.filter(line => line.message === 'request').slice(1)
    const wire = await served.connect()
    wire.socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc`)
    const text = await wire.until(/BLOB_UPLOAD_INVALID/)
    // A client that goes on sending is listened to for ten seconds more.
    const dripping = setInterval(() => wire.socket.write('.'), 100)
    onTestFinished(() => clearInterval(dripping))
    let closed = false
    void wire.closed.then(() => {
      closed = true
    })
    await expect.poll(lines).toHaveLength(1)
    expect(closed).toBe(false)
    const [{ fields } = {}] = lines()
    const sent = Number(/content-length: (\d+)/i.exec(text)?.[1])
    expect(fields).toMatchObject({ method: 'PATCH', url: path, status: 408, complete: true, received: 3, sent })
    expect(await metrics.registry.metrics()).toMatch(/requests_total\{route="end-5",method="PATCH",status="408"\} 1/)
    wire.socket.destroy()
    await wire.closed
    expect(lines()).toHaveLength(1)
  })

  it.each([
    ['a connection that says nothing', '', 408],
    ['headers that do not come', 'GET /v2/ HTTP/1.1\r\nHost: ', 408],
    ['garbage', 'NOT HTTP AT ALL\r\n\r\n', 400],
    ['headers beyond what is read', `GET /v2/ HTTP/1.1\r\nX: ${'y'.repeat(60_000)}\r\n\r\n`, 431],
    ['headers beyond the limit', `GET /v2/ HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
    ['CONNECT', 'CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    ['an unknown expectation', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n', 417],
    [
      'a chunk of no length',
      'PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      400
    ]
  ])('%s: the access log and the metrics have it', async (_, bytes, status) => {
    const metrics = createHttpMetrics()
    const { connect, log } = await serve({
      init: { accessLog: true },
      listenInit: { headersTimeoutMs: 60 },
      components: { metrics }
    })
    const wire = await connect()
    wire.socket.write(bytes)
    const text = await wire.closed
    expect(statuses(text)).toEqual([status])
    const lines = log.lines.filter(line => line.message === 'request').map(line => line.fields)
    const sent = Number(/content-length: (\d+)/i.exec(text)?.[1])
    expect(lines).toMatchObject([{ status, complete: true, sent, remote: '127.0.0.1' }])
    const counted = await metrics.registry.metrics()
    expect(counted).toMatch(new RegExp(`requests_total\\{.*status="${status}"\\} 1`))
    expect(counted).toMatch(/requests_in_flight 0/)
  })

  it('a stalled manifest is 408', async () => {
    const { connect } = await serve({ init: { timeouts: { bodyStallMs: 40 } } })
    const wire = await connect()
    wire.socket.write('PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc')
    expect(statuses(await wire.closed)).toEqual([408])
  })

  it('a body that drips is no stall', async () => {
    const served = await serve({ init: { timeouts: { bodyStallMs: 400 } } })
    const path = await location(served)
    const wire = await served.connect()
    wire.socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nConnection: close\r\n\r\n`)
    for (let drop = 0; drop < 12; drop++) {
      wire.socket.write('.')
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    expect(statuses(await wire.closed)).toEqual([202])
  })

  it('a client that stops reading is cut and its blob closed', async () => {
    const { registry, connect, log } = await serve({ init: { timeouts: { writeStallMs: 60 } } })
    registry.behaviour.chunk = 1024 * 1024
    const digest = registry.addBlob('app', Buffer.alloc(64 * 1024 * 1024))
    const wire = await connect()
    wire.socket.write(`GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await wire.until(/HTTP\/1\.1 200/)
    wire.socket.pause()
    await expect.poll(() => [registry.open, registry.iterating]).toEqual([0, 0])
    expect(log.lines.filter(line => line.level === 'error')).toEqual([])
  })

  it.runIf(hasOpenssl).each([
    ['plain', false],
    ['TLS, which needs: apt-get install openssl', true]
  ])('a client that reads slowly is no stall, whatever the size of a chunk (%s)', async (_, secure) => {
    const size = 24 * 1024 * 1024
    const { registry, port } = await serve({
      init: { timeouts: { writeStallMs: 250 } },
      listenInit: secure ? { tls: createCertificate() } : {}
    })
    const digest = registry.addBlob('app', Buffer.alloc(size))
    const request = (secure ? https : http).request({
      port,
      path: `/v2/app/blobs/${digest}`,
      rejectUnauthorized: false,
      agent: false
    })
    const received = await new Promise<number>((resolve, reject) => {
      let bytes = 0
      let sincePause = 0
      request.on('error', reject).on('response', response => {
        response.on('error', reject).on('end', () => resolve(bytes))
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          sincePause += chunk.length
          if (sincePause < 512 * 1024) return
          sincePause = 0
          response.pause()
          setTimeout(() => response.resume(), 25)
        })
      })
      request.end()
    })
    expect(received).toBe(size)
  })

  it('a client that hangs up mid-blob ends the reading, quietly', async () => {
    const { registry, connect, log } = await serve()
    registry.behaviour.chunk = 64 * 1024
    const digest = registry.addBlob('app', Buffer.alloc(64 * 1024 * 1024))
    const wire = await connect()
    wire.socket.write(`GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await wire.until(/HTTP\/1\.1 200/)
    wire.socket.destroy()
    await expect.poll(() => [registry.open, registry.iterating]).toEqual([0, 0])
    expect(log.lines.every(line => line.level === 'debug')).toBe(true)
    expect(log.lines).toHaveLength(1)
  })
})

describe('an answer to a request whose body is malformed', () => {
  it.each([
    ['cut short', 'HEAD /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc'],
    ['cut short', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc'],
    ['no chunks', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
    ['of no known coding', 'GET /v2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\nabc']
  ])('reaches the client (%s)', async (_, bytes) => {
    const { connect } = await serve()
    const wire = await connect()
    wire.socket.end(bytes)
    expect(statuses(await wire.closed)).toHaveLength(1)
  })

  it('outside the OCI API is cut when the body stalls', async () => {
    const { connect } = await serve({ init: { timeouts: { bodyStallMs: 50 } } })
    const wire = await connect()
    wire.socket.write('POST /livez HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{')
    expect(statuses(await wire.closed)).not.toContain(200)
  })
})

describe('Expect: 100-continue', () => {
  it('is answered before the body when the upload is unknown', async () => {
    const { connect } = await serve()
    const wire = await connect()
    const path = '/v2/app/blobs/uploads/01234567-89ab-cdef-0123-456789abcdef'
    wire.socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n`)
    const text = await wire.until(/\}$/)
    expect(statuses(text)).toEqual([404])
    expect(text).toMatch(/^connection: close/im)
    wire.socket.end()
  })

  it('continues when the body is wanted', async () => {
    const served = await serve()
    const path = await location(served)
    const wire = await served.connect()
    wire.socket.write(
      `PATCH ${path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n`
    )
    await wire.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/)
    wire.socket.write('abc')
    expect(statuses(await wire.closed)).toEqual([100, 202])
  })
})

describe('an answer while the body is still arriving', () => {
  it('reaches a client that only then reads, and the connection closes', async () => {
    const { connect } = await serve()
    const wire = await connect()
    wire.socket.pause()
    const path = '/v2/app/blobs/uploads/01234567-89ab-cdef-0123-456789abcdef'
    wire.socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n`)
    await new Promise(resolve => wire.socket.write(Buffer.alloc(8_000_000), resolve))
    wire.socket.resume()
    const text = await wire.closed
    expect(statuses(text)).toEqual([404])
    expect(text).toContain('BLOB_UPLOAD_UNKNOWN')
  })

  it('keeps the connection when little is left to read', async () => {
    const { port } = await serve()
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const ports = new Set<number | undefined>()
    for (let round = 0; round < 3; round++) {
      const status = await new Promise(resolve => {
        const request = http.request({
          port,
          agent,
          method: 'PUT',
          path: '/v2/app/manifests/.bad',
          headers: { 'Content-Length': 5000 }
        })
        request.on('response', response => {
          ports.add(response.socket.localPort)
          response.resume().on('end', () => resolve(response.statusCode))
        })
        request.end(Buffer.alloc(5000))
      })
      expect(status).toBe(400)
    }
    agent.destroy()
    expect(ports.size).toBe(1)
  })
})

describe('limits', () => {
  it('connections beyond the limit are told so', async () => {
    const { connect, ask } = await serve({ init: { limits: { sockets: 2 } } })
    const first = await connect()
    first.socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
    await first.until(/200 OK/)
    const second = await connect()
    second.socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
    await second.until(/200 OK/)
    const refused = await ask('/v2/')
    expect(refused).toMatchObject({ status: 429, codes: ['TOOMANYREQUESTS'], headers: { connection: 'close' } })
    expect(refused.headers['retry-after']).toBeDefined()
    second.socket.destroy()
    await expect.poll(async () => (await ask('/v2/')).status).toBe(200)
  })
})

describe('connections of one client', () => {
  /** Counts sockets of this machine as if they came from elsewhere. */
  async function counted(init: Omit<ConnectionsInit, 'halfClosedMs'>) {
    const connections = new Connections({ ...init, halfClosedMs: 10_000 })
    const surplus: (string | undefined)[] = []
    const accepted = { count: 0 }
    const server = net.createServer(socket => {
      accepted.count++
      socket.on('error', () => undefined)
      connections.accepted(socket)
      if (!socket.destroyed) surplus.push(connections.of(socket).surplus)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const sockets: net.Socket[] = []
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    const port = (server.address() as net.AddressInfo).port
    const open = (count: number) =>
      Promise.all(
        Array.from({ length: count }, async () => {
          const socket = net.connect(port, '127.0.0.1').on('error', () => undefined)
          sockets.push(socket)
          await once(socket, 'connect')
          return socket
        })
      )
    return { connections, surplus, accepted, open }
  }

  it('beyond its own limit are told so, and cut where even that is too much', async () => {
    const { connections, surplus, accepted, open } = await counted({ limit: 1000, perClient: 3 })
    await open(200)
    // A connection is there for its client before it is for the server.
    await expect.poll(() => accepted.count).toBe(200)
    await expect.poll(() => connections.count).toBe(67)
    expect(surplus).toHaveLength(67)
    expect(surplus.slice(0, 4)).toEqual([undefined, undefined, undefined, 'ipfs.limits.client.connections'])
    connections.destroyAll()
    await expect.poll(() => connections.count).toBe(0)
    surplus.length = 0
    await open(3)
    await expect.poll(() => surplus).toEqual([undefined, undefined, undefined])
  })

  const outside = Object.values(networkInterfaces())
    .flatMap(list => list ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

  it.skipIf(outside === undefined)(
    'are answered 429, but for a proxy’s (needs: an address that is not loopback)',
    async () => {
      const host = outside ?? ''
      const metrics = createHttpMetrics()
      const limits = { client: { connections: 1 } }
      const ask = (port: number, agent: http.Agent) =>
        new Promise<string>((resolve, reject) => {
          const request = http.get({ host, port, path: '/v2/', agent }, response => {
            response.setEncoding('utf8').on('data', text => resolve(`${response.statusCode} ${text}`))
          })
          request.on('error', reject)
        })
      const agent = new http.Agent({ keepAlive: true })
      onTestFinished(() => agent.destroy())
      const both = async (port: number) => [await ask(port, agent), await ask(port, new http.Agent())]
      const client = await serve({ host: '0.0.0.0', init: { limits }, components: { metrics } })
      expect(await both(client.port)).toEqual([
        '200 {}',
        expect.stringMatching(/^429 .*ipfs\.limits\.client\.connections/)
      ])
      expect(await metrics.registry.metrics()).toContain('pinnace_http_limited_total{limit="connections"} 1')
      const proxy = await serve({ host: '0.0.0.0', init: { limits, trustProxy: [host] } })
      expect(await both(proxy.port)).toEqual(['200 {}', '200 {}'])
    }
  )

  it.each<[string, Omit<ConnectionsInit, 'halfClosedMs'>]>([
    ['with a limit of 0', { limit: 100, perClient: 0 }],
    ['of a proxy and this machine', { limit: 100, perClient: 3, isClient: address => !address.endsWith('127.0.0.1') }]
  ])('have the limit of the node alone %s', async (_, init) => {
    const { surplus, open } = await counted(init)
    await open(101)
    await expect.poll(() => surplus.length).toBe(101)
    expect(surplus.filter(value => value !== undefined)).toEqual(['ipfs.limits.sockets'])
  })
})

describe('drain', () => {
  const request = 'GET /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n'

  it('finishes what is under way, closes what is idle and accepts nothing', async () => {
    const { registry, connect, listening, port, ask } = await serve()
    registry.addManifest('app', Buffer.from('m'), { tags: ['v1'] })
    const idle = await connect()
    idle.socket.write(request)
    await idle.until(/\r\n\r\nm$/)
    const silent = await connect()
    const gate = Promise.withResolvers<void>()
    registry.gate = gate.promise
    const busy = await connect()
    busy.socket.write(request)
    await expect.poll(async () => busy.socket.bytesWritten).toBeGreaterThan(0)
    await ask('/livez')
    const drained = listening.drain(60_000)
    await Promise.all([idle.closed, silent.closed])
    await expect(ask('/v2/', {})).rejects.toThrow(/ECONNREFUSED/)
    expect(port).toBeGreaterThan(0)
    gate.resolve()
    const text = await busy.closed
    expect(statuses(text)).toEqual([200])
    expect(await drained).toBe(0)
  })

  it('cuts what does not end in time', async () => {
    const { registry, connect, listening, ask } = await serve()
    registry.gate = new Promise(() => undefined)
    const busy = await connect()
    busy.socket.write(request)
    await ask('/livez')
    expect(await listening.drain(20)).toBe(1)
    expect(await busy.closed).toBe('')
  })
})
