import { createSecureContext, getCiphers } from 'node:tls'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cipherSuites } from '../../src/config/cipher-suites.ts'
import {
  compilePattern,
  isLoopback,
  readAddress,
  readDuration,
  readSize,
  showDuration,
  showSize,
  tlsCiphers
} from '../../src/config.ts'

describe('durations', () => {
  it.each([
    ['10s', 10_000],
    ['1h30m', 5_400_000],
    ['168h', 604_800_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['1m30.5s', 90_500],
    ['100ms', 100],
    ['1000us', 1],
    ['1000µs', 1],
    ['1000000ns', 1],
    ['10000000000', 10_000],
    ['0', 0],
    ['0s', 0],
    ['+5s', 5000],
    ['30m1h', 5_400_000],
    ['2562047h', 9_223_369_200_000]
  ])('%s is %i ms', (text, milliseconds) => expect(readDuration(text)).toBe(milliseconds))

  it.each([
    '',
    's',
    '10',
    '1',
    '999ns',
    '-1s',
    '1d',
    '1 s',
    '1s ',
    '10S',
    '1e3s',
    '.s',
    '1..5s',
    '3000000h',
    'Infinity',
    '٣s'
  ])('%j is none', text => expect(readDuration(text)).toBeUndefined())

  it('are shown as they are read', () => {
    fc.assert(fc.property(fc.nat({ max: 2 ** 43 }), value => readDuration(showDuration(value)) === value))
    expect([0, 60_000, 604_800_000, 5_400_000, 1500].map(showDuration)).toEqual([
      '0s',
      '1m',
      '168h',
      '1h30m',
      '1s500ms'
    ])
  })
})

describe('sizes', () => {
  it.each([
    ['0', 0],
    ['4194304', 4_194_304],
    ['4MiB', 4_194_304],
    ['4M', 4_194_304],
    ['4mb', 4_000_000],
    ['1.5 KiB', 1536],
    ['2GB', 2_000_000_000],
    ['512b', 512]
  ])('%s is %i', (text, bytes) => expect(readSize(text)).toBe(bytes))

  it.each(['', 'M', '-1', '1.5', '4 TiB', '1e3', '99999999999999999999', 'constructor', '1none'])('%j is none', text =>
    expect(readSize(text)).toBeUndefined()
  )

  it('are shown as they are read', () => {
    fc.assert(fc.property(fc.maxSafeNat(), value => readSize(showSize(value)) === value))
  })
})

describe('addresses', () => {
  it.each([
    [':5005', { kind: 'tcp', port: 5005 }, false],
    [':0', { kind: 'tcp', port: 0 }, false],
    ['127.0.0.1:5005', { kind: 'tcp', host: '127.0.0.1', port: 5005 }, true],
    ['[::1]:5005', { kind: 'tcp', host: '::1', port: 5005 }, true],
    ['[::]:65535', { kind: 'tcp', host: '::', port: 65_535 }, false],
    ['[fe80::1%eth0]:1', { kind: 'tcp', host: 'fe80::1%eth0', port: 1 }, false],
    ['[::ffff:127.0.0.1]:1', { kind: 'tcp', host: '::ffff:127.0.0.1', port: 1 }, true],
    ['LOCALHOST:1', { kind: 'tcp', host: 'LOCALHOST', port: 1 }, true],
    ['localhost.example.com:1', { kind: 'tcp', host: 'localhost.example.com', port: 1 }, false],
    ['my-registry_1.local.:80', { kind: 'tcp', host: 'my-registry_1.local.', port: 80 }, false],
    ['127.example.com:1', { kind: 'tcp', host: '127.example.com', port: 1 }, false]
  ])('%s', (text, address, loopback) => {
    const read = readAddress(text)
    expect(read).toEqual(address)
    expect(read !== undefined && isLoopback(read)).toBe(loopback)
  })

  it.each([
    '',
    ':',
    'x',
    '5005',
    'localhost',
    '::1:5005',
    '[::1]',
    '[::1]5005',
    '[x]:1',
    '[127.0.0.1]:1',
    '1.2.3:4',
    '256.1.1.1:1',
    ':65536',
    ':-1',
    'a b:1',
    'http://a:1',
    '-a:1'
  ])('%j is none', text => expect(readAddress(text)).toBeUndefined())

  it('of a unix socket is its path', () => {
    expect(readAddress('/run/registry.sock', 'unix')).toEqual({ kind: 'unix', path: '/run/registry.sock' })
    expect(readAddress('', 'unix')).toBeUndefined()
    expect(readAddress('x'.repeat(105), 'unix')).toBeUndefined()
  })
})

describe('patterns', () => {
  it('are RE2 where JavaScript agrees, and refused where it would read them otherwise', () => {
    expect(compilePattern('^https?://([^/]+\\.)*example\\.com/').test('https://a.example.com/x')).toBe(true)
    expect(compilePattern('(?i)^HTTPS://').test('https://x')).toBe(true)
    for (const text of ['(', '\\Ahttp', 'x\\z', '(?P<n>a)', '[[:alpha:]]']) {
      expect(() => compilePattern(text), text).toThrow(SyntaxError)
    }
  })
})

describe('cipher suites', () => {
  it('are all known to Node, and make a list it accepts', () => {
    const known = new Set(getCiphers().map(name => name.toUpperCase()))
    for (const name of Object.values(cipherSuites)) expect(known.has(name), name).toBe(true)
    expect(() =>
      createSecureContext({ ciphers: tlsCiphers(['TLS_AES_128_GCM_SHA256', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256']) })
    ).not.toThrow()
  })
})
