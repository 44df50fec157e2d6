/** What clients do after a body broke, or an answer did not reach them: the same request again, or the rest of it. */
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { OutgoingHttpHeaders } from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Digest, digestOf, encodedOf } from '../../src/oci/digest.ts'
import { chunks, openTemporaryRegistry } from '../registry/temporary-registry.ts'
import { type Answer, locationOf, openSession, pushBlob, type Server, startServer } from './server.ts'
import { exchange, requestOf } from './wire.ts'

const mebibyte = 1024 * 1024
const whole = randomBytes(2 * mebibyte + 77_777)
const digest = digestOf(whole)
const unknown = { status: 404, codes: ['BLOB_UPLOAD_UNKNOWN'] }

let server: Server
beforeAll(async () => {
  server = await startServer({ registry: { bodySilenceMs: 100 } })
})
afterAll(() => server.close())

const withDigest = (location: string, of: Digest = digest) => `${location}?digest=${of}`
const put = (location: string, body: Buffer = Buffer.of(), headers: OutgoingHttpHeaders = {}) =>
  server.ask(withDigest(location), { method: 'PUT', body, headers })
const patch = (location: string, body: Buffer, headers: OutgoingHttpHeaders = {}) =>
  server.ask(location, { method: 'PATCH', body, headers })
const rangeOf = (from: number, to: number) => ({
  'Content-Range': `${from}-${to - 1}`,
  'Content-Length': String(to - from)
})

/** Bytes that the session has by its own word. */
async function staged(location: string): Promise<number> {
  const { headers } = await server.ask(location)
  const offset = /\/(\d+)$/.exec(headers.location ?? '')?.[1]
  expect(headers.range).toBe(`0-${Math.max(0, Number(offset) - 1)}`)
  return Number(offset)
}

/** The session's `Location` with another offset, or with none. */
const at = (location: string, offset?: number) => location.replace(/\/\d+$/, offset === undefined ? '' : `/${offset}`)

/** Sends the head of a request with a body and its first bytes; returns the socket, still open. */
async function begin(method: string, path: string, body: Buffer, sent: number, headers: string[] = []) {
  const socket = net.connect(server.port, '127.0.0.1')
  const framing = headers.some(header => header.startsWith('Transfer-Encoding'))
  const length = framing ? [] : [`Content-Length: ${body.length}`]
  const part = body.subarray(0, sent)
  socket.write([`${method} ${path} HTTP/1.1`, 'Host: a', ...length, ...headers, '', ''].join('\r\n'))
  if (framing && sent > 0) socket.write(`${sent.toString(16)}\r\n`)
  await new Promise(resolve => socket.write(part, resolve))
  return socket
}

/** A request whose connection breaks when `sent` bytes of its body are there. */
async function broken(method: string, path: string, body: Buffer, sent: number, headers: string[] = []): Promise<void> {
  const before = await staged(path.replace(/\?.*/, ''))
  const socket = await begin(method, path, body, sent, headers)
  const start = Number(/\/(\d+)(?:\?|$)/.exec(path)?.[1] ?? before)
  // What came of it is on the disk, at the latest, when the connection is closed.
  if (sent > 0) await expect.poll(() => staged(path.replace(/\?.*/, ''))).toBeLessThanOrEqual(start + sent)
  socket.destroy()
  if (sent > 0) await expect.poll(() => staged(path.replace(/\?.*/, ''))).toBe(start + sent)
}

async function expectBlob(repository: string, answer: Answer, bytes = whole): Promise<void> {
  const named = digestOf(bytes)
  expect(answer).toMatchObject({
    status: 201,
    headers: {
      location: `/v2/${repository}/blobs/${named}`,
      'docker-content-digest': named,
      'x-ipfs-path': expect.stringMatching(/^\/ipfs\/baf[a-z2-7]+$/)
    }
  })
  const { body } = await server.ask(`/v2/${repository}/blobs/${named}`)
  expect(body.equals(bytes)).toBe(true)
}

describe('a PUT that broke and is sent again', () => {
  it.each([
    ['at its first byte', 0],
    ['within the first leaf', 70_000],
    ['at a leaf', mebibyte],
    ['in the middle', mebibyte + 12_345],
    ['at its last byte', whole.length - 1]
  ])('%s is taken anew', async (name, sent) => {
    for (const [kind, headers] of [
      ['measured', []],
      ['streamed', ['Transfer-Encoding: chunked']]
    ] as const) {
      const repository = `put/${kind}/${name.replaceAll(/\W+/g, '-')}`
      const location = await openSession(server, repository)
      await broken('PUT', withDigest(location), whole, sent, [...headers])
      const again = kind === 'measured' ? {} : { 'Transfer-Encoding': 'chunked' }
      await expectBlob(repository, await put(location, whole, again))
    }
  })

  it('again and again, and by a restarted node', async () => {
    const location = await openSession(server, 'often')
    for (const sent of [mebibyte + 5, 3, 2 * mebibyte]) await broken('PUT', withDigest(location), whole, sent)
    await expectBlob('often', await put(location, whole))
    const store = await openTemporaryRegistry()
    const { id } = await store.registry.startUpload('app', 'sha256')
    await store.registry.appendUpload('app', id, { bytes: chunks(whole.subarray(0, mebibyte)), offset: 0 })
    const restarted = await store.reopen()
    const next = await startServer({ store: restarted })
    const answer = await next.ask(`/v2/app/blobs/uploads/${id}/0?digest=${digest}`, { method: 'PUT', body: whole })
    expect(answer.status).toBe(201)
    await next.close()
    await restarted.close()
  })

  it('with another digest than the first time, whose bytes were not its', async () => {
    const location = await openSession(server, 'mistaken')
    const wrong = digestOf(Buffer.of(1))
    const answer = await server.ask(withDigest(location, wrong), { method: 'PUT', body: whole })
    expect(answer).toMatchObject({ status: 400, codes: ['DIGEST_INVALID'] })
    await expectBlob('mistaken', await put(location, whole))
  })

  it('under sha512', async () => {
    const location = await openSession(server, 'wide', '?digest-algorithm=sha512')
    const wide = digestOf(whole, 'sha512')
    await broken('PUT', withDigest(location, wide), whole, mebibyte + 1)
    const answer = await server.ask(withDigest(location, wide), { method: 'PUT', body: whole })
    expect(answer).toMatchObject({ status: 201, headers: { 'docker-content-digest': wide } })
  })

  it('takes nothing away before its first byte is there', async () => {
    const location = await openSession(server, 'patient')
    await broken('PUT', withDigest(location), whole, mebibyte)
    await broken('PUT', withDigest(location), whole, 0)
    await broken('PUT', withDigest(location), whole, 0, ['Expect: 100-continue'])
    expect(await staged(location)).toBe(mebibyte)
    const rest = whole.subarray(mebibyte)
    await expectBlob('patient', await put(at(location, mebibyte), rest))
  })
})

describe('a PATCH', () => {
  it('whose answer was lost is the same again, not twice as much', async () => {
    const location = await openSession(server, 'twice')
    const lost = await patch(location, whole)
    expect(lost.status).toBe(202)
    const again = await patch(location, whole, { 'Transfer-Encoding': 'chunked' })
    expect(again).toMatchObject({ status: 202, headers: { range: `0-${whole.length - 1}` } })
    expect(locationOf(again)).toBe(locationOf(lost))
    await expectBlob('twice', await put(locationOf(again)))
  })

  it('in the middle of others whose answer was lost, shorter the second time', async () => {
    const cut = (from: number, to: number) => whole.subarray(from, to)
    const first = await openSession(server, 'chunked')
    const second = locationOf(await patch(first, cut(0, mebibyte + 3)))
    await patch(second, cut(mebibyte + 3, 2 * mebibyte))
    const third = locationOf(await patch(second, cut(mebibyte + 3, mebibyte + 9)))
    expect(third).toBe(at(first, mebibyte + 9))
    await expectBlob('chunked', await put(third, cut(mebibyte + 9, whole.length)))
  })

  it('that broke goes on where the session says', async () => {
    const location = await openSession(server, 'resumed')
    await broken('PATCH', location, whole, mebibyte + 50_000)
    const stands = locationOf(await server.ask(location))
    expect(stands).toBe(at(location, mebibyte + 50_000))
    await broken('PATCH', stands, whole.subarray(mebibyte + 50_000), 7)
    const next = locationOf(await patch(stands, whole.subarray(mebibyte + 50_000)))
    await expectBlob('resumed', await put(next))
  })

  it('to a URL without an offset goes behind what is staged', async () => {
    const location = await openSession(server, 'plain')
    const plain = at(location)
    await broken('PATCH', plain, whole, 1000)
    expect((await patch(plain, whole.subarray(1000, 2000))).headers.range).toBe('0-1999')
    await expectBlob('plain', await put(plain, whole.subarray(2000)))
  })

  it('ahead of what is staged is refused, saying where that ends', async () => {
    const location = await openSession(server, 'ahead')
    await patch(location, whole.subarray(0, 1000))
    const stands = { location: at(location, 1000), range: '0-999' }
    const refused = { status: 416, codes: ['BLOB_UPLOAD_INVALID'], headers: stands }
    expect(await patch(at(location, 1001), whole.subarray(1001, 1100))).toMatchObject(refused)
    expect(await put(at(location, 1001), whole.subarray(1001))).toMatchObject(refused)
    expect(await patch(at(location, 1000), whole.subarray(0, 9), rangeOf(1001, 1010))).toMatchObject(refused)
    expect(await staged(location)).toBe(1000)
  })
})

describe('Jib 0.27, byte for byte', () => {
  const chunk = 0x2000

  function chunked(bytes: Buffer): Buffer {
    const parts: Buffer[] = []
    for (let from = 0; from < bytes.length; from += chunk) {
      const part = bytes.subarray(from, from + chunk)
      parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'))
    }
    return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')])
  }

  const request = (line: string, ...framing: string[]) =>
    Buffer.from(
      [
        `${line} HTTP/1.1`,
        'Accept: ',
        'Accept-Encoding: gzip',
        'User-Agent: jib 0.27.3 jib-core Google-HTTP-Java-Client/1.42.2 (gzip)',
        ...framing,
        'Host: 127.0.0.1:5000',
        'Connection: Keep-Alive',
        '',
        ''
      ].join('\r\n')
    )

  const send = async (bytes: Buffer) => {
    const [answer] = await exchange(server.port, bytes, { halfClose: true })
    return answer
  }

  it('sends the PATCH again to the same location, whether it broke or its answer did not come', async () => {
    const started = await send(request('POST /v2/jib/app/blobs/uploads/', 'Content-Length: 0'))
    expect(started?.status).toBe(202)
    const location = started?.headers.location ?? ''
    const head = request(`PATCH ${location}`, 'Transfer-Encoding: chunked', 'Content-Type: application/octet-stream')
    const again = Buffer.concat([head, chunked(whole)])
    // Its answer is lost.
    expect((await send(again))?.status).toBe(202)
    // This one breaks in the middle of a chunk.
    const socket = net.connect(server.port, '127.0.0.1')
    await new Promise(resolve => socket.write(again.subarray(0, head.length + mebibyte), resolve))
    await expect.poll(() => staged(location)).toBeLessThan(whole.length)
    socket.destroy()
    const patched = await send(again)
    expect(patched).toMatchObject({ status: 202, headers: { range: `0-${whole.length - 1}` } })
    const closing = request(`PUT ${patched?.headers.location}?digest=${digest}`, 'Content-Length: 0')
    expect((await send(closing))?.status).toBe(201)
    expect((await send(closing))?.status).toBe(201)
    expect((await server.ask(`/v2/jib/app/blobs/${digest}`)).body.equals(whole)).toBe(true)
  })
})

describe('Content-Range', () => {
  it('says more than the Location', async () => {
    const location = await openSession(server, 'range/first')
    expect((await patch(at(location, 999), whole.subarray(0, 500), rangeOf(0, 500))).status).toBe(202)
    expect((await patch(at(location), whole.subarray(500, 900), rangeOf(500, 900))).status).toBe(202)
    expect((await patch(location, whole.subarray(900, 1000), rangeOf(900, 1000))).headers.range).toBe('0-999')
    const rest = whole.subarray(1000)
    await expectBlob('range/first', await put(location, rest, rangeOf(1000, whole.length)))
  })

  it('may start anywhere in what no 202 confirmed', async () => {
    const location = await openSession(server, 'range/between')
    const next = locationOf(await patch(location, whole.subarray(0, 1000)))
    await broken('PATCH', next, whole.subarray(1000), mebibyte)
    expect((await patch(next, whole.subarray(5000, 6000), rangeOf(5000, 6000))).headers.range).toBe('0-5999')
    expect((await patch(next, whole.subarray(999, 6000), rangeOf(999, 6000))).status).toBe(416)
    await expectBlob('range/between', await put(next, whole.subarray(6000), rangeOf(6000, whole.length)))
  })

  it('below what a 202 confirmed is refused, before its body could change anything', async () => {
    const location = await openSession(server, 'range/below')
    await patch(location, whole.subarray(0, 1000))
    const refused = { status: 416, headers: { location: at(location, 1000), range: '0-999' } }
    for (const from of [0, 999]) {
      const chunk = randomBytes(100)
      expect(await patch(location, chunk, rangeOf(from, from + 100))).toMatchObject(refused)
      expect(await put(location, chunk, rangeOf(from, from + 100))).toMatchObject(refused)
    }
    await expectBlob('range/below', await put(at(location, 1000), whole.subarray(1000)))
  })

  it('may start anywhere once the node was started anew: it has confirmed nothing', async () => {
    const store = await openTemporaryRegistry()
    const before = await startServer({ store })
    const location = await openSession(before, 'app')
    await before.ask(location, { method: 'PATCH', body: whole.subarray(0, mebibyte + 9) })
    await before.close()
    const restarted = await store.reopen()
    const after = await startServer({ store: restarted })
    const send = (from: number, to: number) =>
      after.ask(location, { method: 'PATCH', body: whole.subarray(from, to), headers: rangeOf(from, to) })
    expect((await send(mebibyte + 10, mebibyte + 11)).status).toBe(416)
    expect((await send(9, mebibyte)).headers.range).toBe(`0-${mebibyte - 1}`)
    expect((await send(mebibyte - 1, mebibyte)).status).toBe(416)
    const rest = { method: 'PUT', body: whole.subarray(mebibyte), headers: rangeOf(mebibyte, whole.length) }
    expect((await after.ask(withDigest(location), rest)).status).toBe(201)
    await after.close()
    await restarted.close()
  })
})

describe('what has no body', () => {
  it('takes any Location of the session', async () => {
    const location = await openSession(server, 'bare')
    await patch(location, whole.subarray(0, 1000))
    for (const offset of [undefined, 0, 500, 1000, 5000]) {
      expect(await server.ask(at(location, offset))).toMatchObject({ status: 204, headers: { range: '0-999' } })
      expect((await server.ask(at(location, offset), { method: 'HEAD' })).headers.location).toBe(at(location, 1000))
      expect((await patch(at(location, offset), Buffer.of())).headers.location).toBe(at(location, 1000))
    }
    expect((await server.ask(at(location, 77), { method: 'DELETE' })).status).toBe(204)
    expect(await server.ask(location)).toMatchObject(unknown)
  })

  it('closes all that is staged, also what broke at its very end', async () => {
    for (const offset of [undefined, 0, 1000, whole.length, 2 * whole.length]) {
      const repository = `closed/${offset ?? 'plain'}`
      const location = await openSession(server, repository)
      const next = locationOf(await patch(location, whole.subarray(0, 1000)))
      await broken('PATCH', next, Buffer.concat([whole.subarray(1000), Buffer.of(1)]), whole.length - 1000)
      await expectBlob(repository, await put(at(location, offset)))
    }
  })
})

describe('a closing PUT whose 201 was lost', () => {
  it.each([
    ['with the whole blob', whole],
    ['with its last chunk', whole.subarray(mebibyte)],
    ['without a body', Buffer.of()]
  ])('%s is answered the same again', async (name, body) => {
    const repository = `lost/${name.replaceAll(/\W+/g, '-')}`
    let location = await openSession(server, repository)
    if (body.length < whole.length)
      location = locationOf(await patch(location, whole.subarray(0, whole.length - body.length)))
    const first = await put(location, body)
    const second = await put(location, body)
    await expectBlob(repository, first)
    expect(second.status).toBe(201)
    for (const header of ['location', 'docker-content-digest', 'x-ipfs-path', 'content-length'])
      expect(second.headers[header]).toBe(first.headers[header])
    expect((await put(location, body, { 'Transfer-Encoding': 'chunked' })).status).toBe(201)
    expect(await patch(location, body)).toMatchObject(unknown)
    expect(await server.ask(location)).toMatchObject(unknown)
  })

  it('is unknown where the repository does not hold the blob, whoever else does', async () => {
    await pushBlob(server, 'holder', whole)
    const location = await openSession(server, 'stranger')
    expect((await server.ask(location, { method: 'DELETE' })).status).toBe(204)
    expect(await put(location, whole)).toMatchObject(unknown)
    expect(await put(location)).toMatchObject(unknown)
    expect((await server.ask(`/v2/stranger/blobs/${digest}`)).status).toBe(404)
  })

  it('is unknown where its body cannot have been the blob', async () => {
    await pushBlob(server, 'longer', whole)
    const location = at(await openSession(server, 'longer'), 0)
    await server.ask(location, { method: 'DELETE' })
    const more = Buffer.concat([whole, Buffer.of(1)])
    expect(await put(location, more)).toMatchObject(unknown)
    expect(await put(location, more, { 'Transfer-Encoding': 'chunked' })).toMatchObject(unknown)
  })

  it('is unknown where the file of the blob is gone', async () => {
    const bytes = randomBytes(5000)
    const lost = await pushBlob(server, 'rotten', bytes)
    const hex = encodedOf(lost)
    await rm(join(server.store.folder, 'blobs', 'sha256', hex.slice(0, 2), hex))
    const location = await openSession(server, 'rotten')
    await server.ask(location, { method: 'DELETE' })
    expect(await server.ask(withDigest(location, lost), { method: 'PUT', body: bytes })).toMatchObject(unknown)
    // And the blob comes back by a push.
    expect(await pushBlob(server, 'rotten', bytes)).toBe(lost)
  })

  it('that stops in the middle of its body is told so in time', async () => {
    const patient = await startServer({ store: server.store, app: { timeouts: { bodyStallMs: 200 } } })
    await pushBlob(server, 'stalled', whole)
    const location = await openSession(server, 'stalled')
    await server.ask(location, { method: 'DELETE' })
    const head = requestOf('PUT', withDigest(location), [`Content-Length: ${whole.length}`])
    const [answer] = await exchange(patient.port, Buffer.concat([head, whole.subarray(0, 1000)]))
    expect(answer).toMatchObject({ status: 408, headers: { connection: 'close' } })
    await patient.close()
  })
})

describe('a second request for a session', () => {
  /** Everything that comes over a connection until it is closed. */
  const closed = (socket: net.Socket) =>
    new Promise<string>(resolve => {
      let text = ''
      socket.on('data', chunk => {
        text += String(chunk)
      })
      socket.on('error', () => undefined)
      socket.on('close', () => resolve(text))
    })

  it('ends a body that has fallen silent, and goes on from there', async () => {
    const location = await openSession(server, 'silent')
    const first = await begin('PUT', withDigest(location), whole, mebibyte + 5)
    const ended = closed(first)
    await expectBlob('silent', await put(location, whole))
    expect(await ended).toMatch(/^HTTP\/1\.1 408 .*\r\n(?:.+\r\n)*Connection: close\r\n/)
  })

  it.each(['GET', 'HEAD', 'DELETE'])('%s does not stay behind a silent body', async method => {
    const location = await openSession(server, `behind/${method.toLowerCase()}`)
    const first = await begin('PATCH', location, whole, 1000)
    expect((await server.ask(location, { method })).status).toBe(204)
    const ended = closed(first)
    if (method !== 'DELETE') first.destroy()
    await ended
  })

  it('closing without a body does not stay behind a silent one either', async () => {
    const location = await openSession(server, 'closing')
    const first = await begin('PATCH', location, Buffer.concat([whole, Buffer.of(1)]), whole.length)
    const ended = closed(first)
    await expectBlob('closing', await put(location))
    expect(await ended).toMatch(/^HTTP\/1\.1 408 /)
  })
})
