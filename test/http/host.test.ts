import { once } from 'node:events'
import http from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openAccess } from '../../src/access/authorize.ts'
import { type AppInit, createApp } from '../../src/http/app.ts'
import { createDebugApp } from '../../src/http/debug-app.ts'
import { listen } from '../../src/http/listen.ts'
import { MemoryRegistry } from './memory-registry.ts'
import { ask, memoryLog, serve } from './serve.ts'

const named = (names: AppInit) => serve({ init: { hosts: [], ...names } })
const statusOf = async (port: number, host: string, path = '/v2/') =>
  (await ask(port, path, { headers: { Host: host } })).status

describe('on a loopback listener', () => {
  it.each([
    'localhost',
    'localhost:5005',
    'LOCALHOST.:1',
    'pinnace.localhost',
    '127.0.0.1',
    '127.3.2.1:99999',
    '[::1]:5005',
    '[::ffff:127.0.0.1]',
    'host.docker.internal:5005',
    'host.containers.internal',
    'host.minikube.internal'
  ])('answers to %s', async host => {
    expect(await statusOf((await named({})).port, host)).toBe(200)
  })

  it.each([
    'attacker.example',
    'attacker.example:5005',
    'localhost.attacker.example',
    '127.0.0.1.attacker.example',
    'notlocalhost',
    'attacker.example:80:5005',
    'localhost@attacker.example',
    'attacker.internal',
    'host.attacker.example.internal',
    '10.0.0.1',
    '[2001:db8::1]',
    'registry.local',
    'x y'
  ])('does not answer to "%s", whatever is asked', async host => {
    const { port, registry } = await named({})
    for (const path of ['/', '/livez', '/readyz', '/v2/', '/v2/_catalog', '/token', '/admin/v1/gc', '/no/such']) {
      expect([path, await statusOf(port, host, path)]).toEqual([path, 421])
    }
    const upload = await ask(port, '/v2/app/blobs/uploads/', { method: 'POST', headers: { Host: host } })
    expect(upload).toMatchObject({ status: 421, codes: ['DENIED'] })
    expect(registry.signals).toEqual([])
  })

  it('says which key to set', async () => {
    const { body } = await ask((await named({})).port, '/v2/', { headers: { Host: 'reg.example' } })
    const { errors }: { errors: { message: string; detail: object }[] } = JSON.parse(body.toString())
    expect(errors[0]?.message).toMatch(/"reg\.example".*http\.hosts/)
    expect(errors[0]?.detail).toEqual({ host: 'reg.example', key: 'http.hosts' })
  })

  it('answers to the names of http.hosts and http.host too, and still to its own', async () => {
    const { port } = await named({ hosts: ['reg.example', '*.team.example'], host: 'https://Public.example:8443/x' })
    for (const host of ['reg.example', 'REG.example.:443', 'a.team.example', 'a.b.team.example', 'public.example'])
      expect([host, await statusOf(port, host)]).toEqual([host, 200])
    for (const host of ['team.example', 'xteam.example', 'b.reg.example', '.team.example', '*.team.example'])
      expect([host, await statusOf(port, host)]).toEqual([host, 421])
    expect(await statusOf(port, 'localhost')).toBe(200)
    expect(await statusOf((await named({ hosts: ['*'] })).port, 'whatever.example')).toBe(200)
  })

  it('looks at the absolute form of a target before Host', async () => {
    const { port, connect } = await named({})
    const answer = async (target: string, host: string) => {
      const wire = await connect()
      wire.socket.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      return (await wire.closed).slice(9, 12)
    }
    expect(await answer(`http://localhost:${port}/v2/`, 'localhost')).toBe('200')
    expect(await answer('/v2/', '')).toBe('421')
    expect(await answer('http://attacker.example/v2/', 'localhost')).toBe('421')
    expect(await answer('http://localhost@attacker.example/v2/', 'localhost')).toBe('421')
    expect(await answer('http://localhost/v2/', 'attacker.example')).toBe('421')
    expect(await answer('HTTPS://attacker.example', 'localhost')).toBe('421')
  })

  it('does not take a forwarded host for the one it was called by, which a page can write itself', async () => {
    const { port } = await named({ trustProxy: ['loopback'] })
    const headers = { Host: 'attacker.example', 'X-Forwarded-Host': 'localhost', 'X-Forwarded-For': '127.0.0.1' }
    expect((await ask(port, '/v2/', { headers })).status).toBe(421)
  })

  it('with http.hosts, what a trusted proxy was called must be listed too', async () => {
    const { port } = await named({ trustProxy: ['loopback'], hosts: ['reg.example'] })
    const via = async (host: string) =>
      (await ask(port, '/v2/', { headers: { Host: 'localhost', 'X-Forwarded-Host': host } })).status
    expect(await via('reg.example')).toBe(200)
    expect(await via('other.example')).toBe(421)
  })

  it('answers HTTP/1.0 without a Host, as probes ask', async () => {
    const wire = await (await named({})).connect()
    wire.socket.write('GET /livez HTTP/1.0\r\n\r\n')
    expect(await wire.closed).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('guards the debug listener alike', async () => {
    const debug = createDebugApp({ log: memoryLog() }, { hosts: ['prometheus.example'] })
    onTestFinished(() => debug.close())
    const port = Number(new URL(await debug.listen({ host: '127.0.0.1', port: 0 })).port)
    for (const [host, status] of [
      ['attacker.example', 421],
      ['localhost', 200],
      ['prometheus.example', 200]
    ] as const)
      for (const path of ['/livez', '/debug/health']) expect(await statusOf(port, host, path)).toBe(status)
  })
})

describe('elsewhere', () => {
  /** On all interfaces. */
  const everywhere = async (init: AppInit) => {
    const app = createApp({ registry: new MemoryRegistry(), authorize: openAccess, log: memoryLog() }, init)
    const listening = await listen(app, [{ host: '0.0.0.0', port: 0 }])
    onTestFinished(async () => void (await listening.drain(0)))
    return Number(new URL(listening.urls[0] ?? '').port)
  }

  it('any name is good without http.hosts', async () => {
    expect(await statusOf(await everywhere({}), 'whatever.example')).toBe(200)
  })

  it('only listed names are with it, and the address itself, as probes of containers say', async () => {
    const port = await everywhere({ hosts: ['reg.example'] })
    expect(await statusOf(port, 'whatever.example')).toBe(421)
    expect(await statusOf(port, 'reg.example')).toBe(200)
    expect(await statusOf(port, `127.0.0.1:${port}`)).toBe(200)
    expect(await statusOf(port, '10.1.2.3')).toBe(421)
  })
})

it('keeps the connection after a refusal', async () => {
  const { port } = await named({})
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  const sockets = new Set<unknown>()
  for (const Host of ['attacker.example', 'localhost']) {
    const request = http.get({ port, host: '127.0.0.1', path: '/v2/', agent, headers: { Host } })
    request.on('socket', socket => sockets.add(socket))
    const [response]: http.IncomingMessage[] = await once(request, 'response')
    response?.resume()
    await once(response ?? request, 'end')
  }
  expect(sockets.size).toBe(1)
})
