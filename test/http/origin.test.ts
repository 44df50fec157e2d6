import type { IncomingHttpHeaders } from 'node:http'
import https from 'node:https'
import { describe, expect, it } from 'vitest'
import { createCertificate, hasOpenssl } from './certificate.ts'
import { type Ask, type Served, serve } from './serve.ts'

const start =
  (served: Served) =>
  (headers: Record<string, string>, init: Ask & { path?: string } = {}) => {
    const { path = '/v2/app/blobs/uploads/', method = 'POST' } = init
    return served.ask(path, { method, headers: { Host: `localhost:${served.port}`, ...headers } })
  }

describe('a web page', () => {
  it.each([
    { Origin: 'https://attacker.example' },
    { Origin: 'null' },
    { Origin: 'http://localhost' },
    { Origin: 'http://localhost:1' },
    { Origin: 'http://localhost:5005.attacker.example' },
    { Origin: '' },
    { Origin: 'https://attacker.example', 'Sec-Fetch-Site': 'same-origin' },
    { 'Sec-Fetch-Site': 'cross-site' },
    { 'Sec-Fetch-Site': 'same-site' },
    { 'Sec-Fetch-Site': 'made-up' }
  ])('elsewhere changes nothing: %j', async headers => {
    const served = await serve()
    const asked = start(served)
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const path = method === 'POST' ? '/v2/app/blobs/uploads/' : '/v2/app/manifests/v1'
      expect(await asked(headers, { method, path })).toMatchObject({ status: 403, codes: ['DENIED'] })
    }
    expect(served.registry.signals).toEqual([])
    expect((await asked(headers, { path: '/no/such' })).status).toBe(403)
    for (const path of ['/token', '/token?service=x', '/%74oken', '/admin', '/admin/v1/version'])
      for (const method of ['GET', 'HEAD', 'OPTIONS'])
        expect([path, (await asked(headers, { method, path })).status]).toEqual([path, 403])
    for (const path of ['/v2/', '/v2/_catalog', '/livez', '/tokens'])
      expect((await asked(headers, { method: 'GET', path })).status).not.toBe(403)
  })

  it('of this node itself may', async () => {
    const served = await serve()
    const asked = start(served)
    const own = `localhost:${served.port}`
    expect((await asked({ Origin: `http://${own}`, 'Sec-Fetch-Site': 'same-origin' })).status).toBe(202)
    expect((await asked({ Origin: `https://${own}` })).status).toBe(202)
    expect((await asked({ 'Sec-Fetch-Site': 'none' })).status).toBe(202)
    expect((await asked({ Origin: `http://${own}`, 'Sec-Fetch-Site': 'cross-site' })).status).toBe(403)
    expect((await asked({})).status).toBe(202)
  })

  it('of http.host, or of what a trusted proxy was called, is of this node', async () => {
    const origin = { Origin: 'https://reg.example' }
    expect((await start(await serve({ init: { host: 'https://reg.example' } }))(origin)).status).toBe(202)
    const proxied = { ...origin, 'X-Forwarded-Host': 'reg.example' }
    expect((await start(await serve({ init: { trustProxy: ['loopback'] } }))(proxied)).status).toBe(202)
    expect((await start(await serve())(proxied)).status).toBe(403)
  })

  it('that http.headers names may; everybody, as *, may not', async () => {
    const allow = (...values: string[]) => serve({ init: { headers: { 'access-control-allow-origin': values } } })
    const ui = { Origin: 'https://ui.example', 'Sec-Fetch-Site': 'cross-site' }
    expect((await start(await allow('https://ui.example'))(ui)).status).toBe(202)
    expect((await start(await allow('https://ui.example'))({ Origin: 'https://u.example' })).status).toBe(403)
    expect((await start(await allow('*'))(ui)).status).toBe(403)
    expect((await start(await allow('null'))({ Origin: 'null' })).status).toBe(403)
  })

  it('is given no permission by a preflight', async () => {
    const served = await serve()
    const headers = { Origin: 'https://attacker.example', 'Access-Control-Request-Method': 'PUT' }
    const answer = await start(served)(headers, { method: 'OPTIONS', path: '/v2/app/manifests/v1' })
    expect(Object.keys(answer.headers).filter(name => name.startsWith('access-control'))).toEqual([])
  })
})

describe('security headers', () => {
  const names = ['x-content-type-options', 'content-security-policy', 'cross-origin-resource-policy']

  it('are on every answer, errors and what is no HTTP included', async () => {
    const { ask, connect } = await serve()
    for (const path of ['/', '/livez', '/no/such', '/v2/', '/v2/_catalog', '/v2/app/manifests/none', '/v2/UPPER/x']) {
      const { headers } = await ask(path)
      expect([path, ...names.map(name => headers[name])]).toEqual([
        path,
        'nosniff',
        "default-src 'none'; frame-ancestors 'none'; sandbox",
        'same-origin'
      ])
      expect(headers['strict-transport-security']).toBeUndefined()
    }
    const wire = await connect()
    wire.socket.write('<html>\r\n\r\n')
    const answer = await wire.closed
    for (const name of names) expect(answer.toLowerCase()).toContain(`\r\n${name}: `)
  })

  it('give way to the operator’s own, never doubled', async () => {
    const headers = {
      'x-content-type-options': ['nosniff'],
      'Content-Security-Policy': ["default-src 'self'"],
      'X-A': ['1']
    }
    const { ask } = await serve({ init: { headers } })
    for (const path of ['/v2/', '/livez']) {
      const { rawHeaders } = await ask(path)
      const values = (wanted: string) =>
        rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === wanted)
      expect(values('x-content-type-options')).toEqual(['nosniff'])
      expect(values('content-security-policy')).toEqual(["default-src 'self'"])
      expect(values('cross-origin-resource-policy')).toEqual(['same-origin'])
    }
  })

  describe.runIf(hasOpenssl)('about transport (needs: apt-get install openssl)', () => {
    const name = 'strict-transport-security'
    const tls = hasOpenssl ? createCertificate() : {}
    const paths = ['/v2/', '/livez', '/no/such']

    it('are for TLS that other machines reach, which is told by where it listens, not by who asks', async () => {
      const { port } = await serve({ host: '0.0.0.0', listenInit: { tls } })
      for (const path of paths) expect([path, (await askSecure(port, path))[name]]).toEqual([path, 'max-age=31536000'])
    })

    it('are not for TLS on loopback, whose name belongs to every other server there', async () => {
      const { port } = await serve({ listenInit: { tls } })
      for (const path of paths) {
        const headers = await askSecure(port, path)
        expect([path, headers['x-content-type-options'], headers[name]]).toEqual([path, 'nosniff', undefined])
      }
    })

    it('are not for plain HTTP, wherever it listens (RFC 6797, section 7.2)', async () => {
      const { ask } = await serve({ host: '0.0.0.0' })
      for (const path of paths) expect([path, (await ask(path)).headers[name]]).toEqual([path, undefined])
    })

    it('give way to the operator’s own', async () => {
      const headers = { 'Strict-Transport-Security': ['max-age=0'] }
      const { port } = await serve({ host: '0.0.0.0', listenInit: { tls }, init: { headers } })
      expect((await askSecure(port, '/v2/'))[name]).toBe('max-age=0')
    })
  })
})

function askSecure(port: number, path: string): Promise<IncomingHttpHeaders> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false }
    https
      .get(options, response => {
        response.resume().on('error', reject)
        response.on('end', () => resolve(response.headers))
      })
      .on('error', reject)
  })
}
