/**
 * `Authorization`, scopes and requests for tokens made up by chance: none lets in who should stay out, none fails the node,
 * none hangs, none is logged. `PINNACE_FUZZ_SECONDS` and `PINNACE_FUZZ_SEED` as in the other fuzz test.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Guarded, startGuarded } from '../access/guarded-server.ts'
import { pushImage } from '../registry/temporary-registry.ts'
import { codesOf } from './server.ts'
import { exchange, type RawAnswer, requestOf } from './wire.ts'

const seconds = Number(process.env.PINNACE_FUZZ_SECONDS ?? (process.env.PINNACE_REQUIRE_INTEROP === '1' ? 30 : 5))
const seed = Number(process.env.PINNACE_FUZZ_SEED ?? Date.now() % 2 ** 31)

let guarded: Guarded
/** Credentials that let in, to be broken a little. */
let good: readonly string[]
beforeAll(async () => {
  guarded = await startGuarded({ accessLog: true })
  await pushImage(guarded.server.store.registry, 'team/app', 'v1', [10])
  const whole = ['user', 'user bearer', 'push token', 'admin token', 'anonymous bearer'] as const
  good = await Promise.all(whole.map(async who => (await guarded.headerOf(who, 'team/app')) ?? ''))
})
afterAll(() => guarded.close())

/** What a header's value may hold on the wire (RFC 9110, section 5.5), obs-text too. */
const text = fc.string({
  unit: fc.constantFrom(...'abAB019+/=-._~:,;"\\ \t%{}[]()<>@é\u00ff'),
  maxLength: 80
})
const scheme = fc.constantFrom(
  'Basic',
  'basic',
  'BASIC',
  'Bearer',
  'bearer',
  'Digest',
  'Negotiate',
  '',
  'Basic Basic',
  ':'
)
const base64 = fc
  .oneof(fc.uint8Array({ maxLength: 60 }), fc.string({ unit: 'binary', maxLength: 40 }))
  .map(bytes => Buffer.from(bytes).toString('base64'))
const part = (value: fc.Arbitrary<unknown>) =>
  value.map(it => Buffer.from(JSON.stringify(it) ?? '').toString('base64url'))
const jwt = fc
  .tuple(
    part(
      fc.record(
        {
          alg: fc.constantFrom('none', 'HS256', 'RS256', 'ES256', '', 7),
          typ: fc.constantFrom('JWT', 'x'),
          kid: fc.jsonValue({ maxDepth: 1 }),
          crit: fc.jsonValue({ maxDepth: 1 })
        },
        { requiredKeys: ['alg'] }
      )
    ),
    part(
      fc.record(
        {
          iss: fc.jsonValue({ maxDepth: 1 }),
          aud: fc.constantFrom('registry.test', 'other'),
          sub: fc.constantFrom('alice', 'root', '', '\u0000'),
          exp: fc.oneof(fc.integer(), fc.double()),
          iat: fc.integer(),
          access: fc.jsonValue({ maxDepth: 3 }),
          for: fc.jsonValue({ maxDepth: 2 })
        },
        { requiredKeys: [] }
      )
    ),
    fc.oneof(fc.constant(''), fc.base64String({ maxLength: 60 }))
  )
  .map(parts => parts.join('.'))
const ownToken = fc
  .tuple(
    fc.constantFrom('pinnace_', 'pinnacer_', 'pinnace_pinnace_'),
    fc.string({ unit: fc.constantFrom(...'0Az9_'), maxLength: 40 })
  )
  .map(parts => parts.join(''))
const garbage = fc.oneof(
  text,
  fc.tuple(scheme, fc.oneof(text, base64, jwt, ownToken)).map(parts => parts.join(' ')),
  fc.tuple(scheme, fc.constantFrom(1, 1000, 12_000)).map(([name, count]) => `${name} ${'A'.repeat(count)}`)
)

const scopeText = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.constantFrom('repository', 'registry', 'repository(plugin)', 'x', ''),
        fc.constantFrom('team/app', 'catalog', 'closed/app', '../..', 'a:5000/b', 'UPPER', '*', '**', ''),
        fc.constantFrom('pull', 'pull,push', '*', 'delete,admin', ',,', '')
      )
      .map(parts => parts.join(':'))
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 60 }) }
)
const scopes = fc.array(scopeText, { maxLength: 12 })
const pairs = fc.array(
  fc.tuple(
    fc.constantFrom(
      'grant_type',
      'username',
      'password',
      'refresh_token',
      'service',
      'client_id',
      'access_type',
      'offline_token',
      'account',
      '__proto__',
      ''
    ),
    fc.oneof(
      fc.constantFrom('password', 'refresh_token', 'alice', 'secret', 'offline', 'true', 'registry.test', 'pinnacer_x'),
      fc.string({ maxLength: 30 })
    )
  ),
  { maxLength: 8 }
)

async function send(bytes: Buffer, method: string): Promise<RawAnswer> {
  const answers = await exchange(guarded.server.port, bytes, { methods: [method] })
  expect(answers).toHaveLength(1)
  const [answer] = answers
  if (answer === undefined) throw new Error('no answer')
  expect(answer.status).toBeLessThan(500)
  codesOf(answer.status, answer.body)
  if (answer.status === 401) expect(answer.headers['www-authenticate']).toMatch(/^B(?:earer|asic) realm="/)
  if (answer.status === 429) expect(answer.headers['retry-after']).toMatch(/^\d+$/)
  return answer
}

const doors = [
  ['GET', '/v2/'],
  ['GET', '/v2/team/app/manifests/v1'],
  ['HEAD', '/v2/closed/app/tags/list'],
  ['GET', '/v2/_catalog'],
  ['POST', '/v2/team/app/blobs/uploads/'],
  ['PUT', '/v2/team/app/manifests/v1'],
  ['DELETE', '/v2/team/app/manifests/v1'],
  ['GET', '/admin/v1/version']
] as const
const localhost = 'Host: localhost'

const refused = fc.asyncProperty(garbage, fc.constantFrom(...doors), async (value, [method, path]) => {
  const answer = await send(requestOf(method, path, [localhost, `Authorization: ${value}`]), method)
  if (answer.status < 400) throw new Error(`${method} ${path} let in ${JSON.stringify(value)}: ${answer.status}`)
})

const broken = fc.asyncProperty(
  fc.nat(4),
  fc.nat(400),
  fc.constantFrom('replace', 'insert', 'cut', 'double'),
  fc.constantFrom(...'aZ0.=_- :,"'),
  fc.constantFrom(...doors.filter(([method]) => method !== 'DELETE')),
  async (which, at, how, character, [method, path]) => {
    const header = good[which] ?? ''
    const place = at % header.length
    const rest = how === 'insert' ? header.slice(place) : header.slice(place + 1)
    const value =
      how === 'cut'
        ? header.slice(0, place)
        : how === 'double'
          ? `${header}, ${header}`
          : `${header.slice(0, place)}${character}${rest}`
    await send(requestOf(method, path, [localhost, `Authorization: ${value}`]), method)
  }
)

const asked = fc.asyncProperty(
  scopes,
  pairs,
  fc.option(garbage, { nil: undefined }),
  fc.boolean(),
  async (wanted, fields, header, posted) => {
    const form = new URLSearchParams([
      ...fields,
      ...wanted.map((scope): [string, string] => ['scope', scope])
    ]).toString()
    const headers = [localhost, ...(header === undefined ? [] : [`Authorization: ${header}`])]
    const type = 'Content-Type: application/x-www-form-urlencoded'
    const bytes = posted
      ? requestOf('POST', '/token', [...headers, type], form)
      : requestOf('GET', `/token?${form}`, headers)
    const answer = await send(bytes, posted ? 'POST' : 'GET')
    expect(answer.headers['cache-control']).toBe('no-store')
    if (answer.status !== 200) return
    const { scope, token }: { scope: string; token: string } = JSON.parse(answer.body.toString())
    expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
    // Nobody but alice can have signed in, and she may not this.
    expect(scope).not.toMatch(/closed|delete|admin/)
    if (!form.includes('password=secret')) expect(scope).not.toContain('push')
  }
)

it(`holds for ${seconds} s (seed ${seed})`, { timeout: seconds * 1000 + 120_000 }, async () => {
  const end = Date.now() + seconds * 1000
  for (let run = 0; Date.now() < end || run < 3; run++) {
    const options = { seed: (seed + run) | 0, numRuns: 25 }
    await fc.assert(refused, options)
    await fc.assert(broken, options)
    await fc.assert(asked, options)
  }
  const { lines } = guarded.server.log
  expect(lines.filter(line => line.level === 'error' || line.level === 'warn')).toEqual([])
  const logged = JSON.stringify(lines)
  expect(logged).toContain('/v2/team/app/manifests/v1')
  for (const header of good) expect(logged).not.toContain(header.split(' ')[1])
})

it('is as well afterwards as before, and lets in whom it should', async () => {
  guarded.who.clock.ms += 3_600_000
  const headers = { Authorization: (await guarded.headerOf('admin token', '')) ?? '' }
  expect((await guarded.server.ask('/v2/team/app/manifests/v1', { headers })).status).toBe(200)
  expect(
    (await guarded.server.ask('/v2/team/app/tags/list', { headers: { Authorization: good[0] ?? '' } })).status
  ).toBe(200)
})
