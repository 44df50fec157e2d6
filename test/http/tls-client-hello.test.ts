import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type ConnectionOptions, connect } from 'node:tls'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { offeredProtocols } from '../../src/http/client-hello.ts'

/** What Node's own client says first. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = connect({ host: '127.0.0.1', port, ...options })
  client.on('error', () => undefined)
  onTestFinished(() => void client.destroy())
  const [socket]: Socket[] = await once(server, 'connection')
  onTestFinished(() => void server.close())
  const [bytes]: Buffer[] = await once(socket as Socket, 'data')
  socket?.destroy()
  return bytes as Buffer
}

describe('the protocols of a ClientHello', () => {
  it.each([
    [['acme-tls/1'], 'TLSv1.3'],
    [['h2', 'http/1.1'], 'TLSv1.3'],
    [['acme-tls/1'], 'TLSv1.2']
  ] as const)('%j in %s, and in no part of it too early', async (protocols, maxVersion) => {
    const hello = await helloOf({ ALPNProtocols: [...protocols], maxVersion, servername: 'a.example' })
    expect(offeredProtocols(hello)).toEqual([...protocols])
    for (let length = 0; length < hello.length; length++) {
      expect(offeredProtocols(hello.subarray(0, length)), String(length)).toBe('partial')
    }
    expect(offeredProtocols(Buffer.concat([hello, Buffer.from('more')]))).toEqual([...protocols])
  })

  it('spread over records', async () => {
    const hello = await helloOf({ ALPNProtocols: ['acme-tls/1'] })
    const message = hello.subarray(5)
    const records: Buffer[] = []
    for (let at = 0; at < message.length; at += 50) {
      const part = message.subarray(at, at + 50)
      records.push(Buffer.from([22, 3, 1, 0, part.length]), part)
    }
    expect(offeredProtocols(Buffer.concat(records))).toEqual(['acme-tls/1'])
    // Nobody sends it byte by byte but to be looked at again and again.
    const bytes = [...message].map(byte => Buffer.from([22, 3, 1, 0, 1, byte]))
    expect(offeredProtocols(Buffer.concat(bytes.slice(0, 15)))).toBe('partial')
    expect(offeredProtocols(Buffer.concat(bytes))).toBe('none')
  })

  it('none', async () => {
    expect(offeredProtocols(await helloOf({}))).toBe('none')
    expect(offeredProtocols(Buffer.from('GET / HTTP/1.1\r\n'))).toBe('none')
    expect(offeredProtocols(Buffer.from([22, 3, 1, 0, 0, 22, 3, 1]))).toBe('none')
  })

  it('any bytes are judged without an error', async () => {
    const hello = await helloOf({ ALPNProtocols: ['acme-tls/1'], servername: 'a.example' })
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { maxLength: 8 }), changes => {
        const bytes = Buffer.from(hello)
        for (const [at, value] of changes) bytes[at] = value
        offeredProtocols(bytes)
      })
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), bytes => void offeredProtocols(bytes)))
  })
})
