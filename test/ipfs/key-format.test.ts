import { generateKeyPairSync } from 'node:crypto'
import { generateKeyPair, generateKeyPairFromSeed, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeKey, encodeKey, KeyFormatError, keyFormats } from '../../src/ipfs/key-format.ts'

/** Written by Kubo 0.41.0: `ipfs key gen vector && ipfs key export vector`, and the same with `--format=pem-pkcs8-cleartext`. */
const kubo = {
  peerId: '12D3KooWLY3VQei9YrHSk32ZwndC4z9wLXktR63TgSpkAgAhXw5w',
  protobuf: 'CAESQH94Nk64k0nQ3rPA11SqrzBD7ljYfqU1kcJISlfVn3A9n0Iky5NFklafXgPw1x4q/ogkNQX+ivoMgLNYxl8+g8Y=',
  pem: `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIH94Nk64k0nQ3rPA11SqrzBD7ljYfqU1kcJISlfVn3A9
-----END PRIVATE KEY-----
`
}

describe('the forms of a key', () => {
  it('are those that Kubo writes, byte for byte', async () => {
    const key = await decodeKey(Buffer.from(kubo.protobuf, 'base64'))
    expect(key.publicKey.toString()).toBe(kubo.peerId)
    expect((await decodeKey(Buffer.from(kubo.pem))).publicKey.toString()).toBe(kubo.peerId)
    expect(Buffer.from(encodeKey(key, 'libp2p-protobuf-cleartext')).toString('base64')).toBe(kubo.protobuf)
    expect(Buffer.from(encodeKey(key, 'pem-pkcs8-cleartext')).toString()).toBe(kubo.pem)
  })

  it.each(keyFormats)('%s is read as it was written, whatever the key', async format => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 32, maxLength: 32 }), async seed => {
        const key = await generateKeyPairFromSeed('Ed25519', seed)
        expect((await decodeKey(encodeKey(key, format))).equals(key)).toBe(true)
      }),
      { numRuns: 50 }
    )
  })

  it.each(['secp256k1', 'RSA', 'ECDSA'] as const)('hold no %s key', async type => {
    const bytes = privateKeyToProtobuf(await generateKeyPair(type))
    await expect(decodeKey(bytes)).rejects.toThrow(`it is an ${type} key`)
  })

  it('hold no PEM of another kind', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await expect(decodeKey(Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' })))).rejects.toThrow(
      'an ec key'
    )
    const own = generateKeyPairSync('ed25519')
    const encrypted = own.privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' })
    await expect(decodeKey(Buffer.from(encrypted))).rejects.toThrow('encrypted')
    const open = Buffer.from(own.publicKey.export({ format: 'pem', type: 'spki' }))
    await expect(decodeKey(open)).rejects.toThrow(KeyFormatError)
  })

  it('hold no key whose public half is somebody else’s', async () => {
    const [mine, theirs] = await Promise.all([generateKeyPair('Ed25519'), generateKeyPair('Ed25519')])
    const forged = Buffer.from(privateKeyToProtobuf(mine))
    Buffer.from(theirs.publicKey.raw).copy(forged, forged.length - 32)
    await expect(decodeKey(forged)).rejects.toThrow('does not belong')
  })

  it('refuse anything else, and never say what it was', async () => {
    const pem = fc
      .string()
      .map(text => Buffer.from(`-----BEGIN PRIVATE KEY-----\n${text}\n-----END PRIVATE KEY-----\n`))
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 200 }), pem), async bytes => {
        const error: unknown = await decodeKey(bytes).catch((caught: unknown) => caught)
        expect(error).toBeInstanceOf(KeyFormatError)
        expect((error instanceof Error && error.message) || '').toMatch(/^(it|its) [\w\s"(),.:’#-]+$/)
      })
    )
  })

  it('are never read as another key when a byte has changed', async () => {
    const key = await generateKeyPair('Ed25519')
    const bytes = privateKeyToProtobuf(key)
    for (const at of bytes.keys()) {
      for (const flip of [1, 2, 0x80, 0xff]) {
        const changed = Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ flip : byte))
        const read = await decodeKey(changed).catch((error: unknown) => error)
        // A field's number may be written in more than one way.
        if (!(read instanceof KeyFormatError)) expect(read).toEqual(key)
      }
    }
  })
})
