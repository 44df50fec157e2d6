import { describe, expect, it } from 'vitest'
import { headersAfter, realmForCredentials } from '../../src/egress/credentials.ts'

const registry = new URL('https://registry.example/v2/')

describe('CVE-2026-33540: credentials never follow a foreign realm', () => {
  it.each([
    'https://evil.example/token',
    'https://registry.example.evil.example/token',
    'https://registry.example:8443/token',
    'https://registry.example@evil.example/token',
    'https://user:pass@registry.example/token',
    'http://registry.example/token',
    'http://169.254.169.254/latest/meta-data',
    '//evil.example/token',
    '/token',
    'ftp://registry.example/token',
    'javascript:alert(1)',
    ''
  ])('a realm %s receives none', realm => expect(realmForCredentials({ registry, realm })).toBeUndefined())

  it('the registry’s own origin receives them', () => {
    const url = realmForCredentials({ registry, realm: 'https://REGISTRY.example:443/token?service=a' })
    expect(url?.href).toBe('https://registry.example/token?service=a')
  })

  it('an origin that the operator named receives them, and only that one', () => {
    const trusted = ['https://auth.docker.io']
    expect(realmForCredentials({ registry, realm: 'https://auth.docker.io/token', trusted })).toBeDefined()
    expect(realmForCredentials({ registry, realm: 'http://auth.docker.io/token', trusted })).toBeUndefined()
    expect(realmForCredentials({ registry, realm: 'https://auth.docker.io:444/token', trusted })).toBeUndefined()
    expect(realmForCredentials({ registry, realm: 'https://xauth.docker.io/token', trusted })).toBeUndefined()
  })
})

describe('headers after a redirect', () => {
  const headers = {
    Authorization: 'Bearer a',
    cookie: 'b=c',
    'Proxy-Authorization': 'd',
    'X-Key': 'e',
    Host: 'f',
    Accept: 'g'
  }

  it('stay with their origin', () => {
    const { Host: _, ...kept } = headers
    expect(headersAfter(new URL('https://a/x'), new URL('https://a:443/y'), headers, ['x-key'])).toEqual(kept)
  })

  it.each(['https://b/x', 'http://a/x', 'https://a:444/x'])('lose credentials on the way to %s', to => {
    expect(headersAfter(new URL('https://a/x'), new URL(to), headers, ['x-key'])).toEqual({ Accept: 'g' })
  })
})
