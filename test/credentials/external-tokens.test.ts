import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { calculateJwkThumbprint, SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { CredentialFileError } from '../../src/credentials/credential-file.ts'
import {
  type ExternalTokensInit,
  type OpenExternalTokens,
  openExternalTokens
} from '../../src/credentials/external-tokens.ts'
import { RegistryError } from '../../src/errors.ts'
import { describeWithTools } from '../interop/tools.ts'
import { RecordedLog } from './recorded-log.ts'
import { type Certificate, openssl, privateKey, publicJwk, publicKey, Signer, sign, signWithOpenssl } from './signer.ts'

const issuer = 'auth.test'
const service = 'registry.test'
const access = [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }]
const clock = { ms: Date.now(), now: () => clock.ms }
const started = Date.now()

let signer: Signer
let opened: OpenExternalTokens[] = []

function claims(changes: object = {}): object {
  const now = Math.floor(clock.ms / 1000)
  return { iss: issuer, aud: service, sub: 'alice', exp: now + 300, nbf: now, iat: now, access, ...changes }
}

async function open(init: Partial<ExternalTokensInit>): Promise<OpenExternalTokens> {
  // Behind the beginning of every certificate made so far.
  clock.ms = Date.now()
  const tokens = await openExternalTokens(
    { clock, log: new RecordedLog() },
    { issuer, service, pollMs: 100, settleMs: 10, ...init }
  )
  opened.push(tokens)
  return tokens
}

const refused = { reason: 'UNAUTHORIZED' }
const minute = 60_000
const day = 24 * 60 * minute
const ca = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign']
const leafOnly = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature']

describeWithTools(['openssl'], 'tokens of another server', () => {
  let own: Certificate
  let rsa: Certificate
  let stranger: Certificate
  beforeAll(() => {
    signer = new Signer()
    own = signer.certificate('own')
    rsa = signer.certificate('rsa', { newkey: ['rsa:2048'] })
    stranger = signer.certificate('stranger')
  })
  afterEach(async () => {
    await Promise.all(opened.map(tokens => tokens.close()))
    opened = []
  })
  afterAll(() => signer.close())

  const withBundle = (...certificates: Certificate[]) =>
    open({
      rootcertbundle: signer.file('bundle.pem', certificates.map(({ cert }) => readFileSync(cert, 'utf8')).join('\n'))
    })
  const withJwks = (...keys: object[]) => open({ jwks: signer.file('jwks.json', JSON.stringify({ keys })) })

  describe('name their key', () => {
    it('by the certificate in the bundle, signed by openssl', async () => {
      const tokens = await withBundle(rsa)
      const token = signWithOpenssl(rsa, { x5c: [rsa.x5c] }, claims())
      expect(await tokens.verify(token)).toMatchObject({ subject: 'alice', access, issuedAt: expect.any(Number) })
    })

    it('by the names that distribution 2 and 3 give it', async () => {
      const tokens = await withBundle(own, rsa)
      const der = publicKey(rsa).export({ type: 'spki', format: 'der' })
      // libtrust: base 32 of 240 bits of SHA-256, in groups of four, as coreutils write it.
      const bits = createHash('sha256').update(der).digest().subarray(0, 30)
      const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
      const number = BigInt(`0x${bits.toString('hex')}`)
      const kid = Array.from({ length: 48 }, (_, at) => base32[Number((number >> BigInt(5 * (47 - at))) & 31n)])
        .join('')
        .replace(/(.{4})(?=.)/g, '$1:')
      await tokens.verify(signWithOpenssl(rsa, { kid }, claims()))
      await tokens.verify(signWithOpenssl(rsa, { kid: await calculateJwkThumbprint(await publicJwk(rsa)) }, claims()))
      await tokens.verify(await sign(own, { kid: await calculateJwkThumbprint(await publicJwk(own)) }, claims()))
    })

    it('by the key itself, or its kid in a key set', async () => {
      const jwk = await publicJwk(own)
      const tokens = await withJwks({ ...jwk, kid: 'one', use: 'sig', alg: 'ES256' })
      await tokens.verify(await sign(own, { kid: 'one' }, claims()))
      await tokens.verify(await sign(own, { jwk }, claims()))
      await tokens.verify(await sign(own, { jwk: { ...jwk, kid: 'whatever' } }, claims()))
    })

    it('by a PEM public key in the bundle', async () => {
      const pem = openssl('pkey', '-in', own.key, '-pubout').toString()
      const tokens = await open({ rootcertbundle: signer.file('public.pem', pem) })
      await tokens.verify(await sign(own, { jwk: await publicJwk(own) }, claims()))
    })

    it('with Ed25519 and PSS too', async () => {
      const edwards = signer.certificate('edwards', { newkey: ['ed25519'] })
      const tokens = await withBundle(edwards, rsa)
      await tokens.verify(await sign(edwards, { x5c: [edwards.x5c] }, claims(), 'EdDSA'))
      await tokens.verify(await sign(rsa, { x5c: [rsa.x5c] }, claims(), 'PS256'))
    })

    it('or are refused', async () => {
      const tokens = await withJwks({ ...(await publicJwk(own)), kid: 'one' })
      await expect(tokens.verify(await sign(own, {}, claims()))).rejects.toThrow(/names no key/)
      await expect(tokens.verify(await sign(own, { kid: 'two' }, claims()))).rejects.toThrow(/not trusted/)
      await expect(tokens.verify(await sign(own, { x5c: [own.x5c] }, claims()))).rejects.toThrow(/does not lead/)
    })
  })

  describe('CVE-2025-24976: a kid that matches while the key does not', () => {
    it('is refused where the token brings the key', async () => {
      const tokens = await withJwks({ ...(await publicJwk(own)), kid: 'one' })
      const jwk = { ...(await publicJwk(stranger)), kid: 'one' }
      await expect(tokens.verify(await sign(stranger, { jwk }, claims()))).rejects.toThrow(/not trusted/)
      await expect(tokens.verify(await sign(stranger, { jwk, kid: 'one' }, claims()))).rejects.toThrow(/not trusted/)
    })

    it('is refused where it brings none', async () => {
      const tokens = await withJwks({ ...(await publicJwk(own)), kid: 'one' })
      await expect(tokens.verify(await sign(stranger, { kid: 'one' }, claims()))).rejects.toThrow(/signature/)
    })

    it('is refused where it brings the certificate of another', async () => {
      const tokens = await withBundle(own)
      const kid = await calculateJwkThumbprint(await publicJwk(own))
      const jwk = { ...(await publicJwk(stranger)), kid, x5c: [own.x5c] }
      await expect(tokens.verify(await sign(stranger, { jwk }, claims()))).rejects.toThrow(
        /not that of its certificate/
      )
      await expect(tokens.verify(await sign(stranger, { kid, x5c: [own.x5c] }, claims()))).rejects.toThrow(/signature/)
    })
  })

  describe('certificates', () => {
    let root: Certificate
    let middle: Certificate
    let leaf: Certificate
    beforeAll(() => {
      root = signer.certificate('root', { extensions: ca, days: 10 })
      middle = signer.certificate('middle', {
        issuer: root,
        extensions: ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign']
      })
      leaf = signer.certificate('leaf', { issuer: middle, extensions: leafOnly })
    })
    const chained = (by: Certificate, ...chain: Certificate[]) =>
      sign(by, { x5c: chain.map(({ x5c }) => x5c) }, claims())

    it('lead to a root, over others or straight, in the header or in its key', async () => {
      const direct = signer.certificate('direct', { issuer: root, extensions: leafOnly })
      const tokens = await withBundle(root)
      await tokens.verify(await chained(leaf, leaf, middle))
      await tokens.verify(await chained(leaf, leaf, middle, root))
      await tokens.verify(await chained(direct, direct))
      const jwk = { ...(await publicJwk(leaf)), x5c: [leaf.x5c, middle.x5c] }
      await tokens.verify(await sign(leaf, { jwk }, claims()))
    })

    it.each([
      ['without those between', [0]],
      ['in another order', [1, 0]],
      ['none at all', []]
    ])('are refused %s', async (_, order) => {
      const tokens = await withBundle(root)
      const chain = order.map(at => [leaf, middle][at]).filter(it => it !== undefined)
      await expect(tokens.verify(await chained(leaf, ...chain))).rejects.toMatchObject(refused)
    })

    it('count while all of them are valid', async () => {
      const tokens = await withBundle(root)
      clock.ms = started + 9 * day
      await tokens.verify(await chained(leaf, leaf, middle))
      clock.ms = started + 11 * day
      await expect(tokens.verify(await chained(leaf, leaf, middle))).rejects.toThrow(/has expired/)
      clock.ms = started - day
      await expect(tokens.verify(await chained(leaf, leaf, middle))).rejects.toThrow(/not valid yet/)
    })

    it('count by the renewed root beside the one that has expired', async () => {
      const renewed = signer.certificate('renewed-root', { renews: root, extensions: ca, days: 30 })
      for (const bundle of [
        [root, renewed],
        [renewed, root]
      ]) {
        const tokens = await withBundle(...bundle)
        clock.ms = started + 11 * day
        await tokens.verify(await chained(leaf, leaf, middle))
      }
    })

    it.each<[string, string[]]>([
      ['are not for signatures', ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,keyEncipherment']],
      ['have a critical extension that nobody knows', [...leafOnly, '1.2.3.4=critical,DER:0500']]
    ])('that %s are refused', async (name, extensions) => {
      const odd = signer.certificate(name.replaceAll(' ', '-'), { issuer: root, extensions })
      const tokens = await withBundle(root)
      await expect(tokens.verify(await chained(odd, odd))).rejects.toThrow(/keyUsage|critical extension/)
    })

    it.each<[string, string[]]>([
      ['is no authority', leafOnly],
      ['may not sign certificates', ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,digitalSignature']],
      ['says nothing about it', []]
    ])('of somebody who %s are refused', async (name, extensions) => {
      const between = signer.certificate(`between-${name.replaceAll(' ', '-')}`, { issuer: root, extensions })
      const below = signer.certificate(`below-${name.replaceAll(' ', '-')}`, { issuer: between, extensions: leafOnly })
      const tokens = await withBundle(root)
      await expect(tokens.verify(await chained(below, below, between))).rejects.toThrow(/not issued by the next/)
    })

    it('longer than a root allows are refused', async () => {
      const second = signer.certificate('second', { issuer: middle, extensions: ca })
      const below = signer.certificate('below', { issuer: second, extensions: leafOnly })
      const tokens = await withBundle(root)
      await expect(tokens.verify(await chained(below, below, second, middle))).rejects.toThrow(/not issued by/)
      const many = Array.from({ length: 7 }, () => leaf)
      await expect(tokens.verify(await chained(leaf, ...many))).rejects.toThrow(/1 to 6/)
    })

    it('of the same name and another key are refused', async () => {
      const twin = new Signer()
      const falseRoot = twin.certificate('root', { extensions: ca })
      const falseLeaf = twin.certificate('leaf', { issuer: falseRoot, extensions: leafOnly })
      const tokens = await withBundle(root)
      await expect(tokens.verify(await chained(falseLeaf, falseLeaf, falseRoot))).rejects.toThrow(/does not lead/)
      twin.close()
    })

    it('signed over SHA-1 are refused', async () => {
      const [key, request, cert] = ['old.key', 'old.csr', 'old.pem'].map(name => signer.file(name, ''))
      const [extensions] = [signer.file('old.ext', leafOnly.join('\n'))]
      openssl(
        'req',
        '-new',
        '-nodes',
        '-newkey',
        'rsa:2048',
        '-subj',
        '/CN=old',
        '-keyout',
        key ?? '',
        '-out',
        request ?? ''
      )
      const by = ['-CA', root.cert, '-CAkey', root.key, '-CAcreateserial', '-extfile', extensions ?? '']
      openssl('x509', '-req', '-sha1', '-days', '5', '-in', request ?? '', '-out', cert ?? '', ...by)
      const raw = readFileSync(cert ?? '', 'utf8').replace(/-----[A-Z ]+-----|\n/g, '')
      const old: Certificate = { key: key ?? '', cert: cert ?? '', x5c: raw }
      const tokens = await withBundle(root)
      const token = signWithOpenssl(old, { x5c: [old.x5c] }, claims())
      await expect(tokens.verify(token)).rejects.toThrow(/SHA-1/)
    })
  })

  describe('algorithms', () => {
    it('none, and secrets made of a public key, are refused', async () => {
      const tokens = await withBundle(own)
      const kid = await calculateJwkThumbprint(await publicJwk(own))
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      for (const alg of ['none', 'None', 'NONE', '']) {
        await expect(tokens.verify(`${part({ alg, kid })}.${part(claims())}.`)).rejects.toMatchObject(refused)
      }
      const secrets = [readFileSync(own.cert), publicKey(own).export({ type: 'spki', format: 'pem' })]
      for (const secret of secrets) {
        const hmac = new SignJWT({ ...claims() }).setProtectedHeader({ alg: 'HS256', kid })
        await expect(tokens.verify(await hmac.sign(Buffer.from(secret)))).rejects.toThrow(/algorithm/)
      }
    })

    it('are those of the configuration, and of the key', async () => {
      const jwk = { ...(await publicJwk(rsa)), kid: 'rsa', alg: 'PS256' }
      const strict = await withJwks(jwk)
      await strict.verify(await sign(rsa, { kid: 'rsa' }, claims(), 'PS256'))
      await expect(strict.verify(await sign(rsa, { kid: 'rsa' }, claims(), 'RS256'))).rejects.toThrow(/PS256 alone/)
      const { x5c } = rsa
      const only = await open({ rootcertbundle: rsa.cert, algorithms: ['RS512', 'HS256'] })
      await only.verify(await sign(rsa, { x5c: [x5c] }, claims(), 'RS512'))
      await expect(only.verify(await sign(rsa, { x5c: [x5c] }, claims(), 'RS256'))).rejects.toThrow(/algorithm/)
    })

    it('with critical headers that nobody knows are refused', async () => {
      const tokens = await withBundle(own)
      const token = await new SignJWT({ ...claims() })
        .setProtectedHeader({ alg: 'ES256', x5c: [own.x5c], crit: ['exp'], exp: 1 })
        .sign(privateKey(own), { crit: { exp: true } })
      await expect(tokens.verify(token)).rejects.toMatchObject(refused)
    })
  })

  describe('claims', () => {
    const verify = async (changes: object) => {
      const tokens = await withBundle(own)
      return tokens.verify(await sign(own, { x5c: [own.x5c] }, claims(changes)))
    }
    const at = (ms: number) => Math.floor((clock.ms + ms) / 1000)

    it.each<[string, object]>([
      ['several audiences', { aud: ['another', service] }],
      ['no subject', { sub: undefined }],
      ['no access', { access: undefined }],
      ['access that is null', { access: null }],
      ['no iat', { iat: undefined }],
      ['no nbf', { nbf: undefined }]
    ])('are taken with %s', async (_, changes) => {
      await expect(verify(changes)).resolves.toBeDefined()
    })

    it.each<[string, () => object]>([
      ['another issuer', () => ({ iss: 'else' })],
      ['no issuer', () => ({ iss: undefined })],
      ['another audience', () => ({ aud: 'else' })],
      ['no audience', () => ({ aud: undefined })],
      ['no end', () => ({ exp: undefined })],
      ['an end in the past', () => ({ exp: at(-minute) })],
      ['an end that is no number', () => ({ exp: '9999999999' })],
      ['a beginning in the future', () => ({ nbf: at(minute) })],
      ['an issue in the future', () => ({ iat: at(minute) })],
      ['an issue more than 5 minutes ago', () => ({ iat: at(-5 * minute), exp: at(60 * minute) })],
      ['an issue that is no number', () => ({ iat: 'now' })],
      ['an issue that is null', () => ({ iat: null })],
      ['neither iat nor nbf', () => ({ iat: undefined, nbf: undefined })],
      [
        'no iat and a beginning more than 5 minutes ago',
        () => ({ iat: undefined, nbf: at(-5 * minute), exp: at(minute) })
      ],
      ['a subject that is no text', () => ({ sub: 7 })],
      ['a subject that is long', () => ({ sub: 'a'.repeat(256) })],
      ['access that is no list', () => ({ access: {} })],
      ['access without a name', () => ({ access: [{ type: 'repository', actions: ['pull'] }] })],
      ['actions that are no list', () => ({ access: [{ type: 'repository', name: 'a', actions: 'pull' }] })],
      ['access to nothing', () => ({ access: [null] })]
    ])('are refused with %s', async (_, changes) => {
      await expect(verify(changes())).rejects.toMatchObject(refused)
    })

    it('may differ from our clock by half a minute', async () => {
      await verify({ exp: at(-20_000), iat: at(-4 * minute) })
      await verify({ nbf: at(20_000), iat: at(20_000) })
    })

    it('count for five minutes at most', async () => {
      const { expiresAt, issuedAt = 0 } = await verify({ exp: at(60 * minute), iat: at(-minute) })
      expect(expiresAt).toBe(issuedAt + 5 * minute)
      // Not from when it was first seen, which a memory with a bound cannot keep.
      const unknown = await verify({ exp: at(60 * minute), iat: undefined, nbf: at(-2 * minute) })
      expect(unknown.expiresAt).toBe(at(3 * minute) * 1000)
    })

    it('never come back in an error', async () => {
      const error: unknown = await verify({ sub: 'hunter2', iss: 'hunter2' }).catch((thrown: unknown) => thrown)
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('hunter2')
    })
  })

  describe('their files', () => {
    it('are read again when they change', async () => {
      const path = signer.file('rotating.json', JSON.stringify({ keys: [await publicJwk(own)] }))
      const tokens = await open({ jwks: path })
      const [before, after] = await Promise.all(
        [own, stranger].map(async by => sign(by, { jwk: await publicJwk(by) }, claims()))
      )
      await tokens.verify(before ?? '')
      await expect(tokens.verify(after ?? '')).rejects.toMatchObject(refused)
      writeFileSync(path, JSON.stringify({ keys: [await publicJwk(stranger)] }))
      await vi.waitFor(() => tokens.verify(after ?? ''), { timeout: 10_000 })
      await expect(tokens.verify(before ?? '')).rejects.toMatchObject(refused)
    })

    it.each<[string, string | object, RegExp]>([
      ['no JSON', 'keys', /no JSON/],
      ['no set', '[]', /no JSON Web Key Set/],
      ['an empty set', { keys: [] }, /0 keys/],
      ['a shared secret', { keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'x' }] }, /shared secret/],
      ['a key for encryption', { keys: [{ kty: 'EC', use: 'enc' }] }, /not for signatures/],
      ['half a key', { keys: [{ kty: 'EC', crv: 'P-256', x: 'AA' }] }, /key 1 cannot be read/],
      ['no object', { keys: [7] }, /key 1 is no object/]
    ])('stop the start with %s in the key set', async (_, content, why) => {
      const text = typeof content === 'string' ? content : JSON.stringify(content)
      const opening = open({ jwks: signer.file('bad.json', text) })
      await expect(opening).rejects.toThrow(why)
      await expect(opening).rejects.toBeInstanceOf(CredentialFileError)
    })

    it('stop the start with a bundle that holds no certificate, half of one, a private key or a weak one', async () => {
      const bad = (text: string) => open({ rootcertbundle: signer.file('bad.pem', text) })
      const pem = readFileSync(own.cert, 'utf8')
      await expect(bad('')).rejects.toThrow(/no PEM certificate/)
      await expect(bad(pem.slice(0, 200))).rejects.toThrow(/no end/)
      await expect(bad(pem.replace('M', '!'))).rejects.toThrow(/block 1 cannot be read/)
      await expect(bad(pem + readFileSync(own.key, 'utf8'))).rejects.toThrow(/block 2 is a private key/)
      const weak = signer.certificate('weak', { newkey: ['rsa:1024'] })
      await expect(bad(readFileSync(weak.cert, 'utf8'))).rejects.toThrow(/1024 bits/)
      const odd = signer.certificate('odd', { newkey: ['ed448'] })
      await expect(bad(readFileSync(odd.cert, 'utf8'))).rejects.toThrow(/kind ed448/)
    })

    it('keep only the public half of a private key in a set', async () => {
      const jwk = { ...privateKey(own).export({ format: 'jwk' }), kid: 'one' }
      const tokens = await withJwks(jwk)
      await tokens.verify(await sign(own, { kid: 'one' }, claims()))
    })
  })

  it('whatever they hold, are verified or refused', async () => {
    const jwk = await publicJwk(own)
    const tokens = await withJwks({ ...jwk, kid: 'one' })
    const part = (value: unknown) => Buffer.from(JSON.stringify(value) ?? '').toString('base64url')
    const header = fc.record(
      {
        alg: fc.constantFrom('ES256', 'RS256', 'none', 'HS256', 'ES512', 7, null),
        kid: fc.constantFrom('one', '', 7, null, ['one']),
        jwk: fc.oneof(
          fc.constant(jwk),
          fc.jsonValue(),
          fc.constant({ ...jwk, x: 'AAAA' }),
          fc.constant({ kty: 'RSA', n: '', e: '' })
        ),
        x5c: fc.oneof(
          fc.jsonValue(),
          fc.constant([own.x5c]),
          fc.array(fc.base64String({ maxLength: 80 }), { maxLength: 3 })
        ),
        crit: fc.constantFrom(['b64'], [], 'b64'),
        b64: fc.boolean(),
        typ: fc.string()
      },
      { requiredKeys: [] }
    )
    const text = fc.oneof(
      fc
        .tuple(header, fc.jsonValue(), fc.base64String({ maxLength: 90 }))
        .map(([a, b, c]) => `${part(a)}.${part(b)}.${c}`),
      fc.array(fc.base64String({ maxLength: 90 }), { maxLength: 6 }).map(list => list.join('.')),
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc
        .integer({ min: 1, max: 20_000 })
        .map(length => `${part({ alg: 'ES256', kid: 'one' })}.${'A'.repeat(length)}.AA`)
    )
    await fc.assert(
      fc.asyncProperty(text, async token => {
        await expect(tokens.verify(token)).rejects.toBeInstanceOf(RegistryError)
      }),
      { numRuns: 500 }
    )
  })

  it('with a byte changed, are refused', async () => {
    const tokens = await withBundle(own)
    const token = await sign(own, { x5c: [own.x5c] }, claims())
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom('A', 'b', '9', '-', '.'), async (at, character) => {
        const changed = token.slice(0, at) + character + token.slice(at + 1)
        // The last character of a part has bits that no byte takes.
        fc.pre(changed !== token && token[at + 1] !== '.' && at !== token.length - 1)
        await expect(tokens.verify(changed)).rejects.toMatchObject(refused)
      }),
      { numRuns: 200 }
    )
  })
})

describe('a token server', () => {
  it('without a file to check it by trusts nobody', async () => {
    const tokens = await openExternalTokens({ clock, log: new RecordedLog() }, { issuer, service })
    await expect(tokens.verify('a.b.c')).rejects.toMatchObject(refused)
    await tokens.close()
  })
})
