import { describe, expect, it, vi } from 'vitest'
import { listsAtOnce } from '../../src/http/list-turns.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { serve } from './serve.ts'

const subject: Digest = `sha256:${'c'.repeat(64)}`
const digestAt = (at: number): Digest => `sha256:${String(at).padStart(64, '0')}`

describe.each([
  ['tags', '/v2/app/tags/list', 'tags'],
  ['catalog', '/v2/_catalog', 'repositories']
])('%s', (kind, path, key) => {
  const names = ['a', 'b', 'c', 'd', 'e']
  const start = async (pageSize: number) => {
    const served = await serve({ init: { limits: { pageSize } } })
    for (const name of names) {
      const repository = kind === 'tags' ? 'app' : name
      served.registry.addManifest(repository, Buffer.from(name), { tags: [kind === 'tags' ? name : 'v1'] })
    }
    return served
  }

  it('follows Link through every item once', async () => {
    const { ask } = await start(2)
    const seen: string[] = []
    let next: string | undefined = path
    while (next !== undefined) {
      const answer = await ask(next)
      expect(answer.status).toBe(200)
      expect(answer.headers['content-type']).toBe('application/json')
      seen.push(...JSON.parse(answer.body.toString())[key])
      next = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers.link ?? ''))?.[1]
    }
    expect(seen).toEqual(names)
  })

  it.each([
    ['n=2', ['a', 'b'], true],
    ['n=5', ['a', 'b', 'c', 'd', 'e'], false],
    ['n=0', [], false],
    ['n=', ['a', 'b', 'c', 'd', 'e'], false],
    ['last=c', ['d', 'e'], false],
    ['n=1&last=bb', ['c'], true],
    ['n=99999999999999999999999999', ['a', 'b', 'c', 'd', 'e'], false]
  ])('%s', async (query, items, more) => {
    const { ask } = await start(1000)
    const answer = await ask(`${path}?${query}`)
    expect(JSON.parse(answer.body.toString())[key]).toEqual(items)
    expect(answer.headers.link !== undefined).toBe(more)
  })

  it('never asks for more than a page, whatever n is', async () => {
    const { ask, registry } = await start(3)
    const answer = await ask(`${path}?n=1000000000000`)
    expect(JSON.parse(answer.body.toString())[key]).toEqual(['a', 'b', 'c'])
    expect(answer.headers.link).toContain('n=3')
    expect(Math.max(...registry.limits)).toBe(3)
  })

  it.each(['n=-1', 'n=x', 'n=1.5', 'n=1e3', 'n=0x10', 'n=%00', 'last=%00', `last=${'x'.repeat(256)}`])(
    '%s is 400',
    async query => {
      const { ask } = await start(1000)
      expect(await ask(`${path}?${query}`)).toMatchObject({ status: 400, codes: ['UNSUPPORTED'] })
    }
  )
})

it('of many lists that are asked for at once few are read, the others in their turn, and none for who hung up', async () => {
  const { ask, registry, connect } = await serve()
  const gate = Promise.withResolvers<void>()
  const read = registry.listRepositories.bind(registry)
  let running = 0
  let most = 0
  let count = 0
  vi.spyOn(registry, 'listRepositories').mockImplementation(async (...args) => {
    count++
    most = Math.max(most, ++running)
    await gate.promise
    running--
    return read(...args)
  })
  const asked = Array.from({ length: 30 }, () => ask('/v2/_catalog'))
  await expect.poll(() => running).toBe(listsAtOnce)
  const wire = await connect()
  wire.socket.write('GET /v2/_catalog HTTP/1.1\r\nHost: x\r\n\r\n')
  // Whatever else is asked for does not wait.
  expect((await ask('/v2/')).status).toBe(200)
  wire.socket.resetAndDestroy()
  expect((await ask('/v2/')).status).toBe(200)
  gate.resolve()
  for (const answer of await Promise.all(asked)) expect(answer.status).toBe(200)
  expect(most).toBe(listsAtOnce)
  expect(count).toBe(30)
})

describe('referrers', () => {
  const start = async (limits: { pageSize?: number; manifest?: number }) => {
    const served = await serve({ init: { limits } })
    for (let at = 0; at < 10; at++) {
      const artifactType = at % 2 === 0 ? 'application/even' : 'application/odd+x'
      const annotations = { text: 'x'.repeat(100) }
      served.registry.referrers.push({
        mediaType: 'application/m',
        digest: digestAt(at),
        size: at,
        artifactType,
        annotations
      })
    }
    return served
  }

  it('is an index, also when there is nothing', async () => {
    const { ask } = await serve()
    const answer = await ask(`/v2/app/referrers/${subject}`)
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/vnd.oci.image.index.v1+json' }
    })
    expect(JSON.parse(answer.body.toString())).toEqual({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: []
    })
    expect(answer.headers['oci-filters-applied']).toBeUndefined()
    expect((await ask('/v2/app/referrers/sha256:x')).status).toBe(400)
  })

  it.each<[{ pageSize: number; manifest?: number }, string]>([
    [{ pageSize: 3 }, ''],
    [{ pageSize: 100, manifest: 700 }, ''],
    [{ pageSize: 2 }, '?artifactType=application%2Fodd%2Bx']
  ])('pages within %j and keeps the filter%s', async (limits, query) => {
    const { ask } = await start(limits)
    const seen: string[] = []
    let next: string | undefined = `/v2/app/referrers/${subject}${query}`
    let pages = 0
    while (next !== undefined) {
      const answer = await ask(next)
      pages++
      if (limits.manifest !== undefined) expect(answer.body.length).toBeLessThanOrEqual(limits.manifest)
      expect(answer.headers['oci-filters-applied']).toBe(query === '' ? undefined : 'artifactType')
      seen.push(...JSON.parse(answer.body.toString()).manifests.map((item: { digest: string }) => item.digest))
      next = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers.link ?? ''))?.[1]
    }
    const all = Array.from({ length: 10 }, (_, at) => digestAt(at))
    expect(seen).toEqual(query === '' ? all : all.filter((_, at) => at % 2 === 1))
    expect(pages).toBeGreaterThan(1)
  })

  it('gives a descriptor larger than a page alone', async () => {
    const { ask } = await start({ manifest: 10 })
    const answer = await ask(`/v2/app/referrers/${subject}`)
    expect(JSON.parse(answer.body.toString()).manifests).toHaveLength(1)
    expect(answer.headers.link).toBeDefined()
  })
})
