import { describe, expect, it } from 'vitest'
import { loadText, problemsOf } from './fixture.ts'

const problems = (headers: string) => problemsOf(loadText(`version: 0.1\nhttp:\n  headers: {${headers}}\n`))

describe('http.headers', () => {
  it.each([
    ['Access-Control-Allow-Origin: ["*"], Access-Control-Allow-Credentials: ["true"]'],
    ['access-control-allow-origin: ["*"], ACCESS-CONTROL-ALLOW-CREDENTIALS: ["TRUE"]'],
    ['Access-Control-Allow-Origin: ["https://a.example", "*"], Access-Control-Allow-Credentials: ["false", "true"]'],
    ['Access-Control-Allow-Origin: ["null"], Access-Control-Allow-Credentials: ["true"]']
  ])('zot bfc59ad1: everybody with credentials stops the start: %s', async text => {
    const found = await problems(text)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(/http\.headers\.access-control-allow-credentials: together with .*remove it, or name/i)
  })

  it.each([
    ['Access-Control-Allow-Origin: ["*"]'],
    ['Access-Control-Allow-Credentials: ["true"]'],
    ['Access-Control-Allow-Origin: ["*"], Access-Control-Allow-Credentials: ["false"]'],
    ['Access-Control-Allow-Origin: ["https://ui.example"], Access-Control-Allow-Credentials: ["true"]']
  ])('takes %s', async text => {
    await expect(loadText(`version: 0.1\nhttp:\n  headers: {${text}}\n`)).resolves.toBeDefined()
  })
})

describe('http.trustproxy and http.hosts', () => {
  const of = async (text: string) => (await loadText(`version: 0.1\nhttp: {${text}}\n`)).config.http

  it('take one value without brackets', async () => {
    expect((await of('trustproxy: private')).trustproxy).toEqual(['private'])
    expect((await of('trustproxy: [loopback, 10.0.0.0/8, "2001:db8::/32", 192.0.2.1]')).trustproxy).toHaveLength(4)
    expect((await of('hosts: registry.example.org')).hosts).toEqual(['registry.example.org'])
    expect((await of('')).hosts).toBeUndefined()
  })

  it.each(['everybody', '10.0.0.0/33', '10.0.0/8', '10.0.0.1/', 'fe80::1%eth0', 'proxy.example'])(
    '%s is nobody to trust',
    async proxy => {
      const found = await problemsOf(loadText(`version: 0.1\nhttp: {trustproxy: ["${proxy}"]}\n`))
      expect(found).toEqual([
        expect.stringContaining(`http.trustproxy[0]: "${proxy}" is not a proxy; write an address`)
      ])
    }
  )

  it.each(['https://a.example', 'a.example:443', 'a.example/x', '*a.example', 'a.*.example', 'a b'])(
    '%s is no name of a host',
    async host => {
      const found = await problemsOf(loadText(`version: 0.1\nhttp: {hosts: ["${host}"]}\n`))
      expect(found).toEqual([expect.stringContaining(`http.hosts[0]: "${host}" is not a host name; write one`)])
    }
  )
})
