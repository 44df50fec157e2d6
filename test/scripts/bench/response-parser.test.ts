import { describe, expect, it } from 'vitest'
import { type Head, ResponseParser } from '../../../scripts/bench/load/response-parser.ts'

/** What is understood of `text` when it comes in pieces of `step` bytes. */
function parse(text: string, step: number): { heads: Head[]; body: string } {
  const heads: Head[] = []
  let body = ''
  const parser = new ResponseParser(
    bytes => {
      body += bytes.toString()
    },
    head => heads.push(head)
  )
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += step) parser.push(bytes.subarray(at, at + step))
  return { heads, body }
}

const steps = [1, 2, 3, 7, 1000]

describe.each(steps)('responses that come %i bytes at a time', step => {
  it('with a length', () => {
    const { heads, body } = parse('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Name:  a: b\r\n\r\nhello', step)
    expect(heads.map(head => head.status)).toEqual([200])
    expect(heads[0]?.headers.get('x-name')).toBe('a: b')
    expect(body).toBe('hello')
  })
  it('in chunks, with a trailer', () => {
    const chunks = '3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n'
    const { heads, body } = parse(`HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`, step)
    expect(heads.map(head => head.status)).toEqual([404])
    expect(body).toBe('abc0123456789')
  })
  it('one after the other, those without a body and interim ones among them', () => {
    const continued = 'HTTP/1.1 100 Continue\r\n\r\n'
    const created = 'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n'
    const empty = 'HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n'
    const { heads, body } = parse(`${continued}${created}${empty}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx`, step)
    expect(heads.map(head => head.status)).toEqual([201, 204, 200])
    expect(body).toBe('x')
  })
})

it('refuses what is no response', () => {
  expect(() => parse('SSH-2.0-OpenSSH\r\n\r\n', 1000)).toThrow('no HTTP/1.1 response')
  expect(() => parse('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 1000)).toThrow('no chunk size')
})
