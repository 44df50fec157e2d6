import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createClientOf } from '../../src/http/source.ts'

interface Sent {
  peer?: string
  headers?: Record<string, string>
  tls?: boolean
}

/** A request as the server gives it, of a connection from `peer`; without one, of a unix socket. */
function request({ peer, headers = {}, tls = false }: Sent): IncomingMessage {
  const socket = new Socket()
  const about = peer === undefined ? {} : { remoteAddress: peer, remoteFamily: 'IPv4', localPort: 5005 }
  for (const [name, value] of Object.entries({ ...about, ...(tls ? { encrypted: true } : {}) }))
    Object.defineProperty(socket, name, { value })
  const message = new IncomingMessage(socket)
  Object.assign(message.headers, { host: 'here:5005', ...headers })
  return message
}

const from = (trustProxy: string[], sent: Sent) => createClientOf({ trustProxy })(request(sent))
const addressOf = (trustProxy: string[], peer: string, chain: string) =>
  from(trustProxy, { peer, headers: { 'x-forwarded-for': chain } }).address

describe('a client nobody speaks for', () => {
  it('is the other end of the connection, whatever it writes about itself', () => {
    const headers = {
      'x-forwarded-for': '192.0.2.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil.example',
      forwarded: 'for=192.0.2.1;proto=https;host=evil.example'
    }
    const own = { address: '203.0.113.9', scheme: 'http', host: 'here:5005' }
    expect(createClientOf()(request({ peer: '203.0.113.9', headers }))).toEqual(own)
    expect(from(['10.0.0.0/8', 'loopback', 'private'], { peer: '203.0.113.9', headers })).toEqual(own)
    expect(from(['203.0.113.8'], { peer: '203.0.113.9', headers })).toEqual(own)
    expect(createClientOf()(request({ peer: '127.0.0.1', headers })).address).toBe('127.0.0.1')
  })

  it('has the IPv4 address that a dual socket writes as IPv6, and no zone', () => {
    expect(from([], { peer: '::ffff:203.0.113.9' }).address).toBe('203.0.113.9')
    expect(from([], { peer: 'fe80::1%eth0' }).address).toBe('fe80::1')
  })

  it('says what it speaks, and a host only when it is one', () => {
    expect(from([], { peer: '203.0.113.9', tls: true }).scheme).toBe('https')
    expect(from([], { peer: '203.0.113.9', headers: { host: 'a.example/../"<x>' } }).host).toBeUndefined()
  })
})

describe('the client behind proxies', () => {
  it.each([
    ['10.0.0.1', '192.0.2.1', '192.0.2.1'],
    // Everything left of what a trusted proxy wrote is the client's own invention.
    ['10.0.0.1', '127.0.0.1, 192.0.2.1', '192.0.2.1'],
    ['10.0.0.1', '8.8.8.8, 192.0.2.1, 10.0.0.2', '192.0.2.1'],
    ['10.0.0.1', '10.9.9.9, 10.0.0.2', '10.9.9.9'],
    ['10.0.0.1', '192.0.2.1:4711', '192.0.2.1'],
    ['10.0.0.1', '[2001:db8::1]:4711', '2001:db8::1'],
    ['10.0.0.1', '2001:db8::1', '2001:db8::1'],
    ['10.0.0.1', '::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:10.0.0.1', '192.0.2.1', '192.0.2.1'],
    ['10.0.0.1', '192.0.2.1, unknown', '10.0.0.1'],
    ['10.0.0.1', '192.0.2.1, unknown, 10.0.0.2', '10.0.0.2'],
    ['10.0.0.1', 'garbage" <x>', '10.0.0.1'],
    ['10.0.0.1', '', '10.0.0.1']
  ])('%s forwarding for "%s" is %s', (peer, chain, address) => {
    expect(addressOf(['10.0.0.0/8'], peer, chain)).toBe(address)
  })

  it.each([
    ['loopback', '127.8.9.1', true],
    ['loopback', '::1', true],
    ['loopback', '10.0.0.1', false],
    ['private', '192.168.3.4', true],
    ['private', '172.31.0.1', true],
    ['private', '172.32.0.1', false],
    ['private', 'fd00::1', true],
    ['private', '127.0.0.1', false],
    ['203.0.113.9', '203.0.113.9', true],
    ['2001:db8::/32', '2001:db8:1::7', true],
    ['2001:db8::/32', '2001:db9::7', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::7', false]
  ])('%s trusts %s: %s', (entry, peer, trusted) => {
    expect(addressOf([entry], peer, '192.0.2.1')).toBe(trusted ? '192.0.2.1' : peer)
  })

  it('names scheme and host of the hop that the client itself made', () => {
    const headers = {
      'x-forwarded-for': '192.0.2.1, 10.0.0.2',
      'x-forwarded-proto': 'https, http',
      'x-forwarded-host': 'evil.example, reg.example, inner.example'
    }
    expect(from(['private'], { peer: '10.0.0.1', headers })).toEqual({
      address: '192.0.2.1',
      scheme: 'https',
      host: 'reg.example'
    })
  })

  it('takes scheme and host that a proxy replaces instead of adding to', () => {
    const headers = {
      'x-forwarded-for': '192.0.2.1, 10.0.0.2',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'reg'
    }
    expect(from(['private'], { peer: '10.0.0.1', headers })).toMatchObject({ scheme: 'https', host: 'reg' })
    const none = { 'x-forwarded-proto': 'gopher', 'x-forwarded-host': 'evil"><x' }
    expect(from(['private'], { peer: '10.0.0.1', headers: none })).toEqual({
      address: '10.0.0.1',
      scheme: 'http',
      host: undefined
    })
  })

  it('is read from Forwarded where none of the X-Forwarded headers is there', () => {
    const forwarded =
      'for=8.8.8.8;host=evil, For="[2001:db8::7]:80";proto=https;host="reg.example:8443", for=10.0.0.2;by=x'
    const headers = { forwarded }
    expect(from(['private'], { peer: '10.0.0.1', headers })).toEqual({
      address: '2001:db8::7',
      scheme: 'https',
      host: 'reg.example:8443'
    })
    // Most proxies pass a client's own Forwarded on.
    expect(from(['private'], { peer: '10.0.0.1', headers: { ...headers, 'x-forwarded-for': '192.0.2.1' } })).toEqual({
      address: '192.0.2.1',
      scheme: 'http',
      host: 'here:5005'
    })
  })

  it('cannot hide what a proxy adds behind a quote it opens', () => {
    const headers = { forwarded: 'for="127.0.0.1, for=192.0.2.1' }
    expect(from(['private'], { peer: '10.0.0.1', headers }).address).toBe('192.0.2.1')
  })

  it('is not looked for in a chain without end', () => {
    const chain = `192.0.2.1, ${'10.0.0.2, '.repeat(1000)}10.0.0.3`
    expect(addressOf(['private'], '10.0.0.1', chain)).toBe('10.0.0.2')
  })
})

it('a unix socket is its proxy: who may open the file is trusted', () => {
  const headers = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'reg' }
  expect(from([], { headers })).toEqual({ address: '192.0.2.1', scheme: 'https', host: 'reg' })
  expect(from([], {})).toEqual({ address: '', scheme: 'http', host: 'here:5005' })
})

it.each(['10.0.0.0/33', '10.0.0/8', 'nginx', '::1/129', '10.0.0.1/', '10.0.0.0/x', ''])(
  '%j is nobody to trust',
  text => {
    expect(() => createClientOf({ trustProxy: [text] })).toThrow(TypeError)
  }
)
