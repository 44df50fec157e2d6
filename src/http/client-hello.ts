/** What a ClientHello says about the protocols to speak above TLS; `partial` while its end is missing. */
export type OfferedProtocols = readonly string[] | 'partial' | 'none'

const handshakeRecord = 22
const clientHello = 1
const alpnExtension = 16

/** The ALPN list (RFC 7301) of the ClientHello (RFC 8446, 4.1.2) that a connection begins with. */
export function offeredProtocols(bytes: Uint8Array): OfferedProtocols {
  const message = handshakeMessage(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  if (typeof message === 'string') return message
  try {
    return readAlpn(message)
  } catch (error) {
    if (error instanceof RangeError) return 'none'
    throw error
  }
}

/** Records that a ClientHello may be spread over: it is looked at again with every byte that comes, before anybody is known. */
const maxRecords = 64

/** The first handshake message; it may be spread over records (RFC 8446, 5.1). */
function handshakeMessage(bytes: Buffer): Buffer | 'partial' | 'none' {
  const fragments: Buffer[] = []
  let head = Buffer.alloc(0)
  let wanted = Number.POSITIVE_INFINITY
  let got = 0
  for (let at = 0; got < wanted; ) {
    if (fragments.length === maxRecords || (at < bytes.length && bytes[at] !== handshakeRecord)) return 'none'
    if (bytes.length < at + 5) return 'partial'
    const end = at + 5 + bytes.readUInt16BE(at + 3)
    if (end === at + 5) return 'none'
    const fragment = bytes.subarray(at + 5, end)
    fragments.push(fragment)
    got += fragment.length
    if (head.length < 4) head = Buffer.concat([head, fragment.subarray(0, 4)])
    if (head.length > 0 && head[0] !== clientHello) return 'none'
    if (head.length >= 4) wanted = 4 + head.readUIntBE(1, 3)
    if (got < wanted && bytes.length < end) return 'partial'
    at = end
  }
  return Buffer.concat(fragments).subarray(4, wanted)
}

function readAlpn(hello: Buffer): readonly string[] | 'none' {
  // Version and random, then three lists that do not matter here.
  let at = 34
  at += 1 + hello.readUInt8(at)
  at += 2 + hello.readUInt16BE(at)
  at += 1 + hello.readUInt8(at)
  if (at === hello.length) return 'none'
  const end = at + 2 + hello.readUInt16BE(at)
  for (at += 2; at < end; ) {
    const length = hello.readUInt16BE(at + 2)
    if (hello.readUInt16BE(at) === alpnExtension) return readNames(hello.subarray(at + 6, at + 4 + length))
    at += 4 + length
  }
  return 'none'
}

function readNames(list: Buffer): string[] {
  const names: string[] = []
  for (let at = 0; at < list.length; ) {
    const length = list.readUInt8(at)
    names.push(list.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return names
}
