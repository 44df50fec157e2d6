import { KindGuard, type TSchema } from '@sinclair/typebox'
import fc from 'fast-check'
import { isRecord } from '../../src/config/defaults.ts'
import { annotations } from '../../src/config/fields.ts'
import { recordValue } from '../../src/config/keys.ts'
import { showDuration, showSize } from '../../src/config.ts'

const peer = '12D3KooWGQ5vNKCbs5cVJQ4SPZTvrfyRhhdZ8gqs3XzXQ6PDpTDk'

/** Any text that a file can hold: no NUL, no half of a surrogate pair. */
const anyText = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter(text => !text.includes('\0'))
const line = anyText.filter(text => !/[\r\n]/.test(text))
const port = fc.nat({ max: 65_535 })
const host = fc.constantFrom('', '127.0.0.1', 'localhost', '[::1]', '[fe80::1%eth0]', 'registry.example.com', '0.0.0.0')
const address = fc.tuple(host, port).map(([name, number]) => `${name}:${number}`)

const byFormat: Record<string, fc.Arbitrary<string>> = {
  'go-duration': fc.nat({ max: 2 ** 40 }).map(showDuration),
  'byte-size': fc.integer({ min: 1, max: 5 * 1024 * 1024 }).map(showSize),
  'size-or-share': fc.constantFrom('5%', '0.125%', '100%', '0', '1GiB', '64MiB'),
  'repository-pattern': fc.constantFrom('**', 'team/**', 'team/*-base', 'a/b_c/**/d', 'library/alpine'),
  'tag-pattern': fc.constantFrom('v*', '*', '*-final', 'latest'),
  'rule-subject': fc.constantFrom('anonymous', 'user', 'user:ada', 'token', 'token:ci', 'peer', `peer:${peer}`),
  'dns-name': fc.constantFrom('registry.example.com', 'localhost', 'a-b.Example'),
  'mail-address': fc.constantFrom('admin@example.com', 'a.b+c@d'),
  quotable: fc.constantFrom('pinnace', 'Registry Realm', "it's {mine}"),
  'web-url': fc.constantFrom('https://a.example', 'http://[::1]:5005/x/', 'HTTPS://b.example:8443'),
  'url-path': fc.constantFrom('/', '/registry/', '/a/b.c/~d/'),
  route: fc.constantFrom('/metrics', '/m-1/x.y'),
  multiaddr: fc.constantFrom(`/ip4/127.0.0.1/tcp/4001/p2p/${peer}`, `/dns4/a.example/tcp/1/p2p/${peer}`),
  pattern: fc.constantFrom('^https?://([^/]+\\.)*example\\.com/', '(?i)^https://', '.'),
  'no-nul': anyText,
  path: anyText.filter(text => !text.startsWith('~')),
  proxy: fc.constantFrom('loopback', 'private', '10.0.0.1', '192.0.2.0/24', '2001:db8::/32', '::1'),
  'host-pattern': fc.constantFrom('*', 'registry.example.org', '*.example.org', '192.0.2.1'),
  'header-value': fc.string({ unit: 'grapheme-ascii', maxLength: 20 }),
  secret: line
}

/** Values as a file would have them, for every key of a schema. */
export function arbitraryFor(schema: TSchema, withSecrets = true): fc.Arbitrary<unknown> {
  const { format } = schema
  if (KindGuard.IsObject(schema)) return sectionOf(schema.properties, withSecrets)
  if (KindGuard.IsRecord(schema)) {
    const key = fc
      .stringMatching(/^[A-Za-z][A-Za-z0-9-]{1,8}$/)
      .filter(name => !/^(connection|upgrade|trailer)$/i.test(name))
    return fc.dictionary(key, arbitraryFor(recordValue(schema)), { maxKeys: 3 })
  }
  if (KindGuard.IsArray(schema)) {
    const options = { minLength: schema.minItems ?? 0, maxLength: 3 }
    return fc.uniqueArray(arbitraryFor(schema.items, withSecrets), options)
  }
  if (KindGuard.IsLiteral(schema)) return fc.constant(schema.const)
  if (KindGuard.IsUnion(schema)) return fc.oneof(...schema.anyOf.map(option => arbitraryFor(option)))
  if (KindGuard.IsBoolean(schema)) return fc.boolean()
  if (KindGuard.IsInteger(schema)) return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 100 })
  if (KindGuard.IsNumber(schema)) return fc.double({ noNaN: true, noDefaultInfinity: true })
  if (typeof format === 'string') return byFormat[format] ?? fc.constant('')
  return annotations(schema).noun === 'an address' ? address : anyText
}

function sectionOf(properties: Record<string, TSchema>, withSecrets: boolean): fc.Arbitrary<unknown> {
  const wanted = Object.entries(properties).filter(([, child]) => withSecrets || annotations(child).secret !== true)
  const entries = wanted.map(([key, child]) => [key, arbitraryFor(child, withSecrets)] as const)
  // What has no default and is not optional must be there, as far as nothing fills it in.
  const required = wanted.filter(([key, child]) => key === 'version' || isRequired(child)).map(([key]) => key)
  return fc.record(Object.fromEntries(entries), { requiredKeys: required })
}

function isRequired(schema: TSchema): boolean {
  const { default: fallback, defaultNote } = annotations(schema)
  return !KindGuard.IsOptional(schema) && fallback === undefined && defaultNote === undefined
}

/** One way to sign in at most, all it needs, and no open door beside it. */
export function agreeing(value: unknown): unknown {
  return withOneCertificate(withOneSignIn(withOneAge(value)))
}

/** The deprecated name of `ipfs.gc.untagged` alone. */
function withOneAge(value: unknown): unknown {
  if (!isRecord(value) || !isRecord(value.ipfs) || !isRecord(value.ipfs.gc)) return value
  const { untagged, ...gc } = value.ipfs.gc
  if (untagged === undefined || gc.deleteuntagged === undefined) return value
  return { ...value, ipfs: { ...value.ipfs, gc } }
}

/** Certificates from files or from an authority, over TCP. */
function withOneCertificate(value: unknown): unknown {
  if (!isRecord(value) || !isRecord(value.http) || !isRecord(value.http.tls)) return value
  const { certificate = '/c', key = '/k', letsencrypt, ...rest } = value.http.tls
  const acme = isRecord(letsencrypt) && { ...letsencrypt, http: ':80', directoryurl: 'https://ca.example/dir' }
  return {
    ...value,
    http: { ...value.http, tls: { ...rest, ...(acme ? { letsencrypt: acme } : { certificate, key }) } }
  }
}

function withOneSignIn(value: unknown): unknown {
  if (!isRecord(value) || !isRecord(value.auth)) return value
  const { htpasswd, token } = value.auth
  const complete = isRecord(token) && { realm: 'https://a.example/token', jwks: '/keys', ...token }
  const auth = htpasswd !== undefined ? { htpasswd } : complete ? { token: complete } : {}
  const { access, ...rest } = value
  const kept = access === undefined || (access === 'open' && Object.keys(auth).length > 0) ? {} : { access }
  return { ...rest, auth, ...kept }
}
