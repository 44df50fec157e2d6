import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns'
import { once } from 'node:events'
import { request as plainRequest } from 'node:http'
import { type AddressInfo, createServer, isIP, type LookupFunction } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createEgress, type EgressInit } from '../../src/egress/egress.ts'
import { namedHost } from '../../src/egress/named-hosts.ts'
import { createCertificate, hasOpenssl } from '../http/certificate.ts'
import { startServer } from './servers.ts'

function egressTo(urls: readonly string[], init: EgressInit = {}) {
  const egress = createEgress({ named: urls.map(namedHost), ...init })
  onTestFinished(() => egress.close())
  return egress
}

/** A name server on loopback that gives the next of its answers to each question, the last one for ever. */
async function nameServer(answers: readonly string[]): Promise<{ lookup: LookupFunction; asked: () => number }> {
  let asked = 0
  const socket = createSocket('udp4', (question, from) => {
    const end = question.indexOf(0, 12) + 5
    const isA = question.readUInt16BE(end - 4) === 1
    const address = answers[Math.min(asked, answers.length - 1)] ?? ''
    if (isA) asked++
    const header = Buffer.from(question.subarray(0, 12))
    header.writeUInt16BE(0x8180, 2)
    header.writeUInt16BE(isA ? 1 : 0, 6)
    header.writeUInt32BE(0, 8)
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)])
    socket.send(Buffer.concat([header, question.subarray(12, end), ...(isA ? [record] : [])]), from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  onTestFinished(() => void socket.close())
  const resolver = new Resolver()
  resolver.setServers([`127.0.0.1:${socket.address().port}`])
  const lookup: LookupFunction = (hostname, options, done) => {
    resolver.resolve4(hostname, (error, addresses = []) => {
      const [first = ''] = addresses
      if (options.all === true)
        done(
          error,
          addresses.map(address => ({ address, family: isIP(address) }))
        )
      else done(error, first, 4)
    })
  }
  return { lookup, asked: () => asked }
}

describe('the one way out', () => {
  it('reaches a host at loopback that was named, by its very port', async () => {
    const server = await startServer((_request, response) => response.end('hello'))
    const answer = await egressTo([server.url]).request(`${server.url}/a?b=c`)
    expect([answer.status, await text(answer.body), server.seen[0]?.path]).toEqual([200, 'hello', '/a?b=c'])
    await expect(egressTo([]).request(server.url)).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' })
    await expect(egressTo(['http://127.0.0.1:1']).request(server.url)).rejects.toMatchObject({
      code: 'ADDRESS_REFUSED'
    })
    expect(server.seen).toHaveLength(1)
  })

  it('does not dial loopback under any spelling', async () => {
    const server = await startServer((_request, response) => response.end())
    const egress = egressTo([])
    const hosts = [
      '127.0.0.1',
      'localhost',
      '127.1',
      '0x7f000001',
      '2130706433',
      '0',
      '[::ffff:127.0.0.1]',
      '[::]',
      '[::1]'
    ]
    for (const host of hosts) {
      const asked = egress.request(`http://${host}:${server.port}/`)
      await expect(asked, host).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' })
    }
    expect(server.seen).toEqual([])
  })

  it('its agents keep the rule in other hands, for unix sockets and lookups of their own too', async () => {
    const server = await startServer((_request, response) => response.end())
    const { agents } = egressTo([])
    const loopback: LookupFunction = (_name, _options, done) => done(null, '127.0.0.1', 4)
    for (const options of [
      { host: '127.0.0.1', port: server.port },
      { host: 'public.example', port: server.port, lookup: loopback },
      { socketPath: '/var/run/docker.sock' }
    ]) {
      const refused = await new Promise<Error>((resolve, reject) => {
        try {
          plainRequest({ ...options, agent: agents.http }, () => reject(new Error('answered')))
            .on('error', resolve)
            .end()
        } catch (error) {
          resolve(error as Error)
        }
      })
      expect(refused).not.toMatchObject({ message: 'answered' })
    }
    expect(server.seen).toEqual([])
  })

  it('judges the address that DNS gives at each connection, and dials what was judged', async () => {
    const server = await startServer((_request, response) => response.end('inner'))
    const names = await nameServer(['127.0.0.1'])
    const egress = egressTo([], names)
    await expect(egress.request(`http://flip.example:${server.port}/`)).rejects.toMatchObject({
      code: 'ADDRESS_REFUSED'
    })
    expect(server.seen).toEqual([])
  })

  it('asks DNS once a connection and judges each answer, also when it flips', async () => {
    const server = await startServer((_request, response) => response.end())
    const names = await nameServer(['192.0.0.1', '127.0.0.1'])
    const dialled: string[] = []
    const lookup: LookupFunction = (hostname, options, done) =>
      names.lookup(hostname, options, (error, found, family) => {
        for (const entry of Array.isArray(found) ? found : []) dialled.push(entry.address)
        done(error, found, family)
      })
    const egress = egressTo([], { lookup })
    for (let times = 1; times <= 2; times++) {
      await expect(egress.request(`http://flip.example:${server.port}/`)).rejects.toMatchObject({
        code: 'ADDRESS_REFUSED'
      })
      expect(names.asked()).toBe(times)
    }
    expect(dialled).toEqual(['192.0.0.1', '127.0.0.1'])
    expect(server.seen).toEqual([])
  })

  it('a named host may be anywhere, by the lookup given', async () => {
    const server = await startServer((_request, response) => response.end('named'))
    const names = await nameServer(['127.0.0.1', '127.0.0.9'])
    const url = `http://Inner.example:${server.port}/`
    const answer = await egressTo([url], names).request(url)
    expect(await text(answer.body)).toBe('named')
    // The first answer is the one dialled: nobody listens at the second.
    expect(names.asked()).toBe(1)
  })

  it('IPv6 literals', async ({ skip }) => {
    const server = await startServer((_request, response) => response.end('six'), undefined, '::1').catch(
      () => undefined
    )
    if (server === undefined) return skip('this machine has no IPv6 loopback')
    expect(await text((await egressTo([server.url]).request(server.url)).body)).toBe('six')
    await expect(egressTo([]).request(server.url)).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' })
  })

  it.each(['ftp://a.example/', 'file:///etc/passwd', 'unix:/x', 'nonsense', 'http://user:secret@a.example/'])(
    'does not call %s',
    async url => {
      const refused = await egressTo([])
        .request(url)
        .catch((error: Error) => error)
      expect(refused).toMatchObject({ code: 'URL_INVALID' })
      expect(String(refused)).not.toContain('secret')
    }
  )
})

describe('redirects', () => {
  it('are followed with credentials within an origin, and without them to another, for good', async () => {
    const other = await startServer((_request, response) =>
      response.writeHead(307, { Location: `${first.url}/end` }).end()
    )
    const first = await startServer((request, response) => {
      if (request.url === '/end') return void response.end('done')
      const location = request.url === '/start' ? '/same' : `${other.url}/away`
      response.writeHead(302, { Location: location }).end('see there')
    })
    const headers = { Authorization: 'Bearer secret', Cookie: 'a=b', 'X-Token': 'c', Accept: 'd' }
    const egress = egressTo([first.url, other.url])
    const answer = await egress.request(`${first.url}/start`, { headers, secretHeaders: ['x-token'] })
    expect([answer.url, await text(answer.body)]).toEqual([`${first.url}/end`, 'done'])
    const told = [...first.seen, ...other.seen].map(({ path, headers }) => [
      path,
      headers.authorization,
      headers.cookie,
      headers['x-token'],
      headers.accept
    ])
    expect(told).toEqual([
      ['/start', 'Bearer secret', 'a=b', 'c', 'd'],
      ['/same', 'Bearer secret', 'a=b', 'c', 'd'],
      ['/end', undefined, undefined, undefined, 'd'],
      ['/away', undefined, undefined, undefined, 'd']
    ])
  })

  it.skipIf(!hasOpenssl)('never take credentials from https to http (needs: apt-get install openssl)', async () => {
    const certificate = createCertificate()
    const plain = await startServer((_request, response) => response.end('plain'))
    const secure = await startServer(
      (_request, response) => response.writeHead(302, { Location: plain.url }).end(),
      certificate
    )
    const url = secure.url.replace('127.0.0.1', 'localhost')
    const egress = egressTo([url, plain.url], { ca: [certificate.cert] })
    const answer = await egress.request(url, { headers: { Authorization: 'Bearer secret' } })
    expect(await text(answer.body)).toBe('plain')
    expect(secure.seen[0]?.headers.authorization).toBe('Bearer secret')
    expect(plain.seen[0]?.headers.authorization).toBeUndefined()
    await expect(egressTo([url]).request(url)).rejects.toMatchObject({ code: expect.stringMatching(/CERT/) })
  })

  it('to an address within are refused, also after a public-looking start', async () => {
    const inner = await startServer((_request, response) => response.end())
    const outer = await startServer((_request, response) => response.writeHead(301, { Location: inner.url }).end())
    await expect(egressTo([outer.url]).request(outer.url)).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' })
    expect(inner.seen).toEqual([])
  })

  it('are bounded, may be forbidden, and may be left to the caller', async () => {
    const server = await startServer((_request, response) =>
      response.writeHead(302, { Location: '/again' }).end('body')
    )
    const egress = egressTo([server.url])
    await expect(egress.request(server.url, { redirects: 3 })).rejects.toMatchObject({ code: 'TOO_MANY_REDIRECTS' })
    expect(server.seen).toHaveLength(4)
    await expect(egress.request(server.url, { redirects: 0 })).rejects.toMatchObject({ code: 'TOO_MANY_REDIRECTS' })
    const answer = await egress.request(server.url, { redirects: 'none' })
    expect([answer.status, answer.headers.location, await text(answer.body)]).toEqual([302, '/again', 'body'])
  })

  it.each([
    [307, 'POST', 'body'],
    [308, 'POST', 'body'],
    [301, 'GET', ''],
    [302, 'GET', ''],
    [303, 'GET', '']
  ])('%i after a POST goes on as %s', async (status, method, body) => {
    const server = await startServer((request, response) =>
      request.url === '/end' ? response.end() : response.writeHead(status, { Location: '/end' }).end()
    )
    const headers = { 'Content-Type': 'text/plain' }
    const answer = await egressTo([server.url]).request(server.url, { method: 'POST', body: 'body', headers })
    await text(answer.body)
    expect(server.seen[1]).toMatchObject({ method, body, path: '/end' })
    expect(server.seen[1]?.headers['content-type']).toBe(method === 'POST' ? 'text/plain' : undefined)
  })

  it.each(['file:///etc/passwd', 'gopher://x/', 'http://[', 'unix:/run/x'])('to %s are an error', async location => {
    const server = await startServer((_request, response) => response.writeHead(302, { Location: location }).end())
    await expect(egressTo([server.url]).request(server.url)).rejects.toMatchObject({ code: 'REDIRECT_INVALID' })
  })

  it('choose no credentials by the URL, and do not ask for a stream twice', async () => {
    const server = await startServer((request, response) =>
      request.url === '/end'
        ? response.end()
        : response.writeHead(307, { Location: `http://evil:creds@127.0.0.1:${server.port}/end` }).end()
    )
    const egress = egressTo([server.url])
    await text((await egress.request(server.url)).body)
    expect(server.seen[1]?.headers.authorization).toBeUndefined()
    const sent = egress.request(server.url, { method: 'PUT', body: Readable.from(['a', 'b']) })
    await expect(sent).rejects.toMatchObject({ code: 'REDIRECT_INVALID' })
    expect(server.seen[2]?.body).toBe('ab')
  })
})

describe('bounds', () => {
  it('a body that is announced or comes longer than read is an error, not a cut', async () => {
    const server = await startServer((request, response) => {
      if (request.url === '/told') return void response.end(Buffer.alloc(100))
      response.write(Buffer.alloc(60))
      response.end(Buffer.alloc(60))
    })
    const egress = egressTo([server.url])
    const told = egress.request(`${server.url}/told`, { maxBytes: 99 })
    await expect(told).rejects.toMatchObject({ code: 'TOO_LARGE' })
    const { body } = await egress.request(server.url, { maxBytes: 99 })
    await expect(text(body)).rejects.toMatchObject({ code: 'TOO_LARGE' })
    const enough = await egress.request(`${server.url}/told`, { maxBytes: 100 })
    expect((await text(enough.body)).length).toBe(100)
  })

  it('a silent server, a body that stops, and an abort', async () => {
    const server = await startServer((request, response) => {
      if (request.url === '/stops') response.write('a')
    })
    const egress = egressTo([server.url])
    await expect(egress.request(server.url, { headersMs: 50 })).rejects.toMatchObject({ code: 'TIMEOUT' })
    const stopped = await egress.request(`${server.url}/stops`, { idleMs: 50 })
    await expect(text(stopped.body)).rejects.toMatchObject({ code: 'TIMEOUT' })
    const stop = new AbortController()
    const asked = egress.request(server.url, { signal: stop.signal })
    stop.abort()
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' })
    const later = new AbortController()
    const streaming = await egress.request(`${server.url}/stops`, { signal: later.signal })
    later.abort()
    await expect(text(streaming.body)).rejects.toThrow()
  })

  it('a body that is cut short is an error', async () => {
    const server = createServer(socket => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { body } = await egressTo([url]).request(url)
    await expect(text(body)).rejects.toThrow()
  })

  it('proxies of the environment are not asked', async () => {
    const proxy = await startServer((_request, response) => response.end('proxied'))
    const server = await startServer((_request, response) => response.end('direct'))
    const names = ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'NODE_USE_ENV_PROXY'] as const
    const before = names.map(name => [name, process.env[name]] as const)
    for (const name of names) process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : proxy.url
    onTestFinished(() => {
      for (const [name, value] of before) {
        if (value === undefined) Reflect.deleteProperty(process.env, name)
        else process.env[name] = value
      }
    })
    expect(await text((await egressTo([server.url]).request(server.url)).body)).toBe('direct')
    expect(proxy.seen).toEqual([])
  })
})
