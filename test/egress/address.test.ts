import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isPublicAddress } from '../../src/egress/address.ts'

describe('addresses of the internet', () => {
  it.each([
    '1.1.1.1',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '223.255.255.255',
    '2606:4700:4700::1111',
    '2001:4860:4860::8888',
    '::ffff:8.8.8.8',
    '::ffff:808:808',
    '64:ff9b::8.8.8.8',
    '2A00:1450::1'
  ])('%s is one', address => expect(isPublicAddress(address)).toBe(true))

  it.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '100.127.255.255',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.8',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.0.1',
    '198.18.0.1',
    '198.51.100.7',
    '203.0.113.9',
    '224.0.0.1',
    '239.255.255.250',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::FFFF:7F00:1',
    '0:0:0:0:0:ffff:a00:1',
    '::ffff:0:127.0.0.1',
    '64:ff9b::127.0.0.1',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::8.8.8.8',
    '100::1',
    '2001::1',
    '2001:0:5ef5:79fd::1',
    '2001:20::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '2002:0808:0808::1',
    '3fff::1',
    '4000::1',
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'fe80::1%eth0',
    '2606:4700::1111%lo',
    'fec0::1',
    'ff02::1',
    '',
    'localhost',
    '127.1',
    '0x7f000001',
    '2130706433',
    '[::1]'
  ])('%s is none', address => expect(isPublicAddress(address)).toBe(false))

  const octet = fc.integer({ min: 0, max: 255 })
  const quad = fc.tuple(octet, octet, octet, octet)

  it('an IPv4 address is judged alike in each form that leads to it', () => {
    fc.assert(
      fc.property(quad, ([a, b, c, d]) => {
        const plain = `${a}.${b}.${c}.${d}`
        const high = (a * 256 + b).toString(16)
        const low = (c * 256 + d).toString(16)
        const forms = [
          `::ffff:${plain}`,
          `::ffff:${high}:${low}`,
          `::FFFF:${high.padStart(4, '0')}:${low.padStart(4, '0').toUpperCase()}`,
          `0:0:0:0:0:ffff:${high}:${low}`,
          `0000:0000:0000:0000:0000:ffff:${plain}`,
          `64:ff9b::${plain}`,
          `64:ff9b:0:0:0:0:${high}:${low}`
        ]
        for (const form of forms) expect(isPublicAddress(form), form).toBe(isPublicAddress(plain))
        expect(isPublicAddress(`2002:${high}:${low}::1`)).toBe(false)
        expect(isPublicAddress(`::${plain}`)).toBe(false)
      })
    )
  })

  it('everything under 10, 127, 192.168 and above 223 is refused', () => {
    const first = fc.oneof(fc.constantFrom(0, 10, 127), fc.integer({ min: 224, max: 255 }))
    fc.assert(
      fc.property(first, octet, octet, octet, (a, b, c, d) => {
        expect(isPublicAddress(`${a}.${b}.${c}.${d}`)).toBe(false)
        expect(isPublicAddress(`192.168.${c}.${d}`)).toBe(false)
      })
    )
  })

  it('IPv6 outside 2000::/3 is refused however it is written', () => {
    const group = fc.integer({ min: 0, max: 0xffff })
    const outside = fc.oneof(fc.integer({ min: 0x65, max: 0x1fff }), fc.integer({ min: 0x4000, max: 0xffff }))
    fc.assert(
      fc.property(outside, fc.array(group, { minLength: 7, maxLength: 7 }), (head, rest) => {
        expect(isPublicAddress([head, ...rest].map(part => part.toString(16)).join(':'))).toBe(false)
        expect(isPublicAddress(`${head.toString(16)}::${rest[6]?.toString(16)}`)).toBe(false)
      })
    )
  })
})
