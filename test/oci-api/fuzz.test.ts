/**
 * Requests made up by chance, good ones and bad ones, against a model of what was acknowledged.
 *
 * `PINNACE_FUZZ_SECONDS` says how long (default 10, in CI 60), `PINNACE_FUZZ_SEED` repeats a run: the seed is in the
 * test's name.
 */
import http from 'node:http'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { type Content, Model, type Step, type Tally } from './fuzz-model.ts'
import { configBytes, manifestOf, type Server, startServer, types } from './server.ts'

const seconds = Number(process.env.PINNACE_FUZZ_SECONDS ?? (process.env.PINNACE_REQUIRE_INTEROP === '1' ? 60 : 10))
const seed = Number(process.env.PINNACE_FUZZ_SEED ?? Date.now() % 2 ** 31)

let server: Server
/** A second door to the same registry, for requests that may promise bytes that never come. */
let hasty: Server
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 })
beforeAll(async () => {
  server = await startServer()
  const timeouts = { app: { timeouts: { bodyStallMs: 100 } }, listen: { headersTimeoutMs: 100 } }
  hasty = await startServer({ ...timeouts, store: server.store })
})
afterAll(async () => {
  agent.destroy()
  await hasty.close()
  await server.close()
})

const repository = fc.nat(2)
const index = fc.nat(20)
const algorithm = fc.constantFrom('sha256' as const, 'sha512' as const)
const honesty = fc.oneof(
  { weight: 4, arbitrary: fc.constant('right' as const) },
  { weight: 1, arbitrary: fc.constant('wrong' as const) }
)
const mebibyte = 1024 * 1024
const bytes: fc.Arbitrary<Content> = fc.oneof(
  { weight: 8, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  { weight: 1, arbitrary: fc.constant(new Uint8Array()) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(mebibyte - 1, mebibyte, mebibyte + 1, 2 * mebibyte, 65_536), fc.nat(255))
      .map(([size, fill]) => ({ size, fill }))
  }
)
const tag = fc.constantFrom('v1', 'v2', 'latest')

/** Parts of paths, true ones and false ones. */
const part = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      'v2',
      'wild',
      'blobs',
      'manifests',
      'uploads',
      'tags',
      'list',
      'referrers',
      '_catalog',
      '{session}'
    )
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      digestOf(configBytes),
      digestOf(configBytes, 'sha512'),
      'sha256:',
      'latest',
      `sha256:${'0'.repeat(64)}`
    )
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '',
      '.',
      '..',
      '%2e%2e',
      '%2f',
      '%00',
      '%',
      '%zz',
      '%ff',
      '+',
      ';',
      'A',
      '-',
      '_',
      '~',
      'a'.repeat(300)
    )
  },
  {
    weight: 1,
    arbitrary: fc.string({ unit: 'binary', maxLength: 12 }).map(text => encodeURIComponent(text.toWellFormed()))
  }
)
const loosePath = fc.array(part, { maxLength: 8 }).map(parts => `/${parts.join('/')}`)
const knownPath = fc
  .tuple(
    fc.constantFrom('wild', 'wild/a', 'Wild', 'wild..a', ''),
    fc.constantFrom(
      '/blobs/uploads/',
      '/blobs/uploads/{session}',
      '/blobs/',
      '/manifests/',
      '/tags/list',
      '/referrers/'
    ),
    fc.oneof(fc.constant(''), part)
  )
  .map(([name, middle, end]) => `/v2/${name}${middle}${end}`)
const parameter = fc.tuple(
  fc.constantFrom('n', 'last', 'digest', 'mount', 'from', 'tag', 'artifactType', 'digest-algorithm', 'other'),
  fc.oneof(
    fc.constantFrom(
      '',
      '0',
      '1',
      '-1',
      '99999999999999999999',
      'x',
      digestOf(configBytes),
      'sha512',
      'wild',
      '%',
      '%00'
    ),
    part
  )
)
const query = fc
  .array(parameter, { maxLength: 3 })
  .map(pairs => (pairs.length === 0 ? '' : `?${pairs.map(pair => pair.join('=')).join('&')}`))
const headerValue = fc.string({ unit: fc.constantFrom(...'abc019-=/,;:*"\\ \t%<>[]é'), maxLength: 40 })
const header = fc.oneof(
  fc.tuple(
    fc.constantFrom(
      'Range',
      'Content-Range',
      'If-Match',
      'If-None-Match',
      'If-Range',
      'Accept',
      'Content-Type',
      'X-Request-Id',
      'Forwarded',
      'Authorization',
      'Content-Encoding',
      'Cookie'
    ),
    headerValue
  ),
  fc.constantFrom(
    ['Range', 'bytes=0-'] as const,
    ['Range', 'bytes=-5'] as const,
    ['Content-Range', '0-9'] as const,
    ['Content-Range', '5-2'] as const,
    ['If-Match', '*'] as const,
    ['If-None-Match', '*'] as const,
    ['Content-Type', types.manifest] as const,
    ['Content-Type', types.index] as const,
    ['Expect', '100-continue'] as const,
    ['Transfer-Encoding', 'chunked'] as const,
    ['Content-Length', '3'] as const,
    ['Connection', 'keep-alive, close'] as const
  )
)
const headers = fc.array(
  header.map(pair => pair.join(': ')),
  { maxLength: 4 }
)
const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE')

/** Manifests, nearly. */
const json = fc.oneof(
  fc.json({ maxDepth: 3 }),
  fc
    .record(
      {
        schemaVersion: fc.constantFrom(1, 2, '2'),
        mediaType: fc.constantFrom(types.manifest, types.index, 'a/b', 7),
        config: fc.jsonValue({ maxDepth: 1 }),
        layers: fc.jsonValue({ maxDepth: 2 }),
        subject: fc.jsonValue({ maxDepth: 1 })
      },
      { requiredKeys: [] }
    )
    .map(value => JSON.stringify(value)),
  fc.tuple(fc.nat(400), fc.string({ maxLength: 4 })).map(([at, insert]) => {
    const good = manifestOf().toString()
    return good.slice(0, at) + insert + good.slice(at)
  })
)
const body = fc.oneof(
  bytes,
  fc.constant(new Uint8Array()),
  json.map(text => new Uint8Array(Buffer.from(text.toWellFormed())))
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('open' as const),
      repository,
      algorithm: fc.option(algorithm, { nil: undefined })
    })
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      session: index,
      bytes,
      start: fc.constantFrom('right' as const, 'right' as const, 'wrong' as const, 'untold' as const),
      streamed: fc.boolean()
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('close' as const), session: index, bytes, algorithm, digest: honesty })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('status' as const, 'cancel' as const), session: index }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('post' as const),
      repository,
      bytes: fc.oneof(bytes, fc.constant(new Uint8Array(configBytes))),
      algorithm,
      digest: honesty
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('mount' as const),
      repository,
      from: fc.option(repository, { nil: undefined }),
      blob: index
    })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete blob' as const), repository, blob: index }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('tag' as const),
      repository,
      tag,
      layers: fc.array(index, { maxLength: 3 }),
      note: fc.string({ maxLength: 10 })
    })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete tag' as const), repository, tag }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      repository,
      blob: index,
      range: fc.option(fc.tuple(fc.nat(300), fc.nat(300)), { nil: undefined })
    })
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('wild' as const),
      method,
      path: fc.tuple(fc.oneof(knownPath, loosePath), query).map(pair => pair.join('')),
      headers,
      body
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('garbage' as const),
      body: json.map(text => text.toWellFormed()),
      at: fc.nat(2_000),
      insert: fc.uint8Array({ maxLength: 8 })
    })
  }
)

it(`keeps its promises under ${seconds} s of chance (seed ${seed})`, {
  timeout: seconds * 1000 + 120_000
}, async () => {
  const tally: Tally = { steps: new Map(), statuses: new Map() }
  let run = 0
  const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async steps => {
    const model = new Model(server, hasty.port, agent, `fuzz/${run++}`, tally)
    // Without its configuration no manifest would ever be taken.
    const config = new Uint8Array(configBytes)
    for (const to of [0, 1]) {
      await model.take({ do: 'post', repository: to, bytes: config, algorithm: 'sha256', digest: 'right' })
    }
    for (const next of steps) await model.take(next)
    await model.verify()
    const lines = [...server.log.lines, ...hasty.log.lines]
    expect(lines.filter(line => line.level === 'error')).toEqual([])
  })
  const end = Date.now() + seconds * 1000
  // Four at once, each against its own repositories: what one waits for, another uses.
  const worker = async (first: number): Promise<void> => {
    // A slow machine still gets enough of it to mean something.
    for (let round = first; Date.now() < end || run < 60; round += 4) {
      await fc.assert(property, { seed: (seed + round) | 0, numRuns: 5, interruptAfterTimeLimit: 60_000 })
    }
  }
  await Promise.all([0, 1, 2, 3].map(worker))
  // Every kind of step happened, and every kind of answer came.
  expect(tally.steps.size).toBe(13)
  expect([...tally.statuses.keys()]).toEqual(expect.arrayContaining([200, 201, 202, 204, 400, 404, 416]))
})

it('is as well afterwards as before', async () => {
  expect((await server.ask('/v2/')).status).toBe(200)
  let sessions = 0
  for await (const _ of server.store.metadata.uploads()) sessions++
  // Only those that wild requests opened, whose names nobody kept.
  expect(sessions).toBeLessThan(1_000)
  const scrubbed = await server.store.registry.scrub()
  expect(scrubbed.damages).toBe(0)
  expect(scrubbed.blobs).toBeGreaterThan(10)
  expect(scrubbed.manifests).toBeGreaterThan(5)
  await expect.poll(() => hasty.app.connections.count, { timeout: 20_000 }).toBe(0)
  expect(server.app.connections.count).toBeLessThanOrEqual(4)
})
