/** end-8, end-12 and the catalog: filters, pages and their order. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAccess } from '../../src/access/authorize.ts'
import { parsePattern } from '../../src/access/pattern.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import {
  configBytes,
  descriptorOf,
  indexOf,
  manifestOf,
  pushBlob,
  pushImage,
  putManifest,
  type Server,
  startServer,
  types
} from './server.ts'

interface Descriptor {
  mediaType: string
  digest: Digest
  size: number
  artifactType?: string
  annotations?: Record<string, string>
}

let server: Server
beforeAll(async () => {
  server = await startServer({ app: { limits: { pageSize: 50 } } })
})
afterAll(() => server.close())

/** The target of `rel="next"`, as a path of the same server. */
function nextOf(link: string | string[] | undefined): string | undefined {
  if (link === undefined) return undefined
  const target = /^<([^>]+)>; *rel="?next"?$/.exec(String(link))?.[1]
  if (target === undefined) throw new Error(`no next link: ${String(link)}`)
  return target
}

/** Every page from here on. */
async function pagesFrom<T>(path: string, itemsOf: (body: string) => T[]): Promise<T[][]> {
  const pages: T[][] = []
  for (let next: string | undefined = path; next !== undefined; ) {
    const answer = await server.ask(next)
    expect(answer.status).toBe(200)
    pages.push(itemsOf(answer.body.toString()))
    next = nextOf(answer.headers.link)
    if (pages.length > 500) throw new Error('the pages do not end')
  }
  return pages
}

const tagsIn = (body: string): string[] => (JSON.parse(body) as { tags: string[] }).tags
const namesIn = (body: string): string[] => (JSON.parse(body) as { repositories: string[] }).repositories
const referrersIn = (body: string): Descriptor[] => (JSON.parse(body) as { manifests: Descriptor[] }).manifests

describe('end-8, tags', () => {
  const tags = [...Array.from({ length: 120 }, (_, at) => `t${at}`), 'A', 'Z', '_x', 'a.b', 'latest', 'x'.repeat(128)]
  const sorted = tags.toSorted((a, b) => (a < b ? -1 : 1))

  beforeAll(async () => {
    await pushBlob(server, 'many/tags', configBytes)
    const bytes = manifestOf()
    for (let at = 0; at < tags.length; at += 42) {
      const query = tags
        .slice(at, at + 42)
        .map(tag => `tag=${tag}`)
        .join('&')
      expect((await putManifest(server, 'many/tags', `${digestOf(bytes)}?${query}`, bytes)).status).toBe(201)
    }
  })

  it.each([1, 2, 7, 49, 50])('in pages of %i', async n => {
    const pages = await pagesFrom(`/v2/many/tags/tags/list?n=${n}`, tagsIn)
    expect(pages.flat()).toEqual(sorted)
    expect(pages.slice(0, -1).every(page => page.length === n)).toBe(true)
  })

  it('without n, and with more than a page holds, in pages of the limit (CVE-2023-2253)', async () => {
    for (const query of ['', '?n=100000', '?n=99999999999999999999999999']) {
      const pages = await pagesFrom(`/v2/many/tags/tags/list${query}`, tagsIn)
      expect(pages.map(page => page.length)).toEqual([50, 50, 26])
      expect(pages.flat()).toEqual(sorted)
    }
  })

  it('after `last`, which need not be a tag that exists', async () => {
    expect(tagsIn((await server.ask('/v2/many/tags/tags/list?last=t97')).body.toString())).toEqual([
      't98',
      't99',
      'x'.repeat(128)
    ])
    expect(tagsIn((await server.ask('/v2/many/tags/tags/list?n=2&last=t979')).body.toString())).toEqual(['t98', 't99'])
    expect(tagsIn((await server.ask('/v2/many/tags/tags/list?last=zzz')).body.toString())).toEqual([])
  })

  it('none of them for n=0, without a link', async () => {
    const answer = await server.ask('/v2/many/tags/tags/list?n=0')
    expect(tagsIn(answer.body.toString())).toEqual([])
    expect(answer.headers.link).toBeUndefined()
  })

  it('an empty list for a repository that has manifests and no tag', async () => {
    await pushBlob(server, 'no/tags', configBytes)
    await putManifest(server, 'no/tags', digestOf(manifestOf()), manifestOf())
    expect(JSON.parse((await server.ask('/v2/no/tags/tags/list')).body.toString())).toEqual({
      name: 'no/tags',
      tags: []
    })
  })
})

describe('the catalog', () => {
  it('pages through every repository once, in byte order', async () => {
    const names = Array.from({ length: 60 }, (_, at) => `catalog/r${at}`)
    for (const name of names) await pushBlob(server, name, configBytes)
    for (const n of [1, 13, 50, 1_000_000]) {
      const all = (await pagesFrom(`/v2/_catalog?n=${n}`, namesIn)).flat()
      expect(all).toEqual(all.toSorted((a, b) => (a < b ? -1 : 1)))
      expect(new Set(all).size).toBe(all.length)
      expect(all.filter(name => name.startsWith('catalog/'))).toHaveLength(60)
    }
    expect(namesIn((await server.ask('/v2/_catalog?n=1&last=catalog/r58')).body.toString())).toEqual(['catalog/r59'])
    expect(namesIn((await server.ask('/v2/_catalog?n=0')).body.toString())).toEqual([])
  })
})

describe('the catalog for somebody who may pull little of much', () => {
  let large: Server
  beforeAll(async () => {
    large = await startServer({
      components: { authorize: (_subject, _action, repository) => repository.startsWith('public/') }
    })
    const at = Date.now()
    const digest = digestOf(configBytes)
    const names = Array.from({ length: 12_000 }, (_, count) => `private/secret${count}`)
    for (const repository of [...names, 'public/app', 'rest/hidden']) {
      await large.store.metadata.commit([{ type: 'putLink', repository, digest, record: { at } }], [], {
        durable: false
      })
    }
  })
  afterAll(() => large.close())

  it('comes in steps that each cost little, ends, and names nothing else', async () => {
    const pages: string[][] = []
    for (let next: string | undefined = '/v2/_catalog?n=10'; next !== undefined; ) {
      const answer = await large.ask(next)
      expect(answer.status).toBe(200)
      expect(answer.rawHeaders.join('') + answer.body.toString()).not.toMatch(/private|secret|hidden/)
      pages.push(namesIn(answer.body.toString()))
      next = nextOf(answer.headers.link)
    }
    expect(pages.flat()).toEqual(['public/app'])
    expect(pages.length).toBeGreaterThan(2)
    expect(pages.length).toBeLessThan(7)
  })

  it('comes whole and at once where rules say what to look for', async () => {
    const rules = ['public/**', 'rest/*', 'zoo'].map(text => ({
      subject: { kind: 'anonymous' } as const,
      pattern: parsePattern(text),
      actions: new Set(['pull'] as const)
    }))
    const ruled = await startServer({ store: large.store, components: createAccess({ rules }) })
    try {
      const answer = await ruled.ask('/v2/_catalog')
      expect(namesIn(answer.body.toString())).toEqual(['public/app', 'rest/hidden'])
      expect(answer.headers.link).toBeUndefined()
    } finally {
      await ruled.close()
    }
  })

  it('ends its pages by chance, so that where they end tells no number of what is hidden', async () => {
    const ends = new Set<string | undefined>()
    for (let at = 0; at < 8; at++)
      ends.add((await large.store.registry.listRepositories({ limit: 10 }, () => false)).next)
    expect(ends.size).toBeGreaterThan(1)
  })

  it('goes on only where it told somebody to', async () => {
    expect((await large.ask('/v2/_catalog?last=~AAAA')).status).toBe(400)
    expect((await large.ask('/v2/public/app/tags/list?last=~AAAA')).status).toBe(200)
  })
})

describe('end-12, referrers', () => {
  let subject: Buffer
  let subjectDigest: Digest
  const of = (subjectBytes: Buffer) => ({ subject: descriptorOf(types.manifest, subjectBytes) })

  beforeAll(async () => {
    subject = await pushImage(server, 'refer', 'v1')
    subjectDigest = digestOf(subject)
    await pushBlob(server, 'refer', Buffer.from('{}'))
  })

  const list = async (repository: string, digest: string, query = '') => {
    const answer = await server.ask(`/v2/${repository}/referrers/${digest}${query}`)
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': types.index } })
    expect(JSON.parse(answer.body.toString())).toMatchObject({ schemaVersion: 2, mediaType: types.index })
    return answer
  }

  it('names each kind with its artifactType and annotations', async () => {
    const signature = manifestOf([], {
      ...of(subject),
      artifactType: 'application/vnd.example.sig',
      annotations: { by: 'a' }
    })
    const byConfig = manifestOf([], {
      ...of(subject),
      config: descriptorOf('application/vnd.example.sbom', Buffer.from('{}'))
    })
    const index = indexOf([], of(subject))
    const typedIndex = indexOf([], { ...of(subject), artifactType: 'application/vnd.example.set' })
    for (const bytes of [signature, byConfig, index, typedIndex]) {
      const put = await putManifest(server, 'refer', digestOf(bytes), bytes)
      expect(put).toMatchObject({ status: 201, headers: { 'oci-subject': subjectDigest } })
    }
    const listed = referrersIn((await list('refer', subjectDigest)).body.toString())
    const expected: Descriptor[] = [
      {
        ...descriptorOf(types.manifest, signature),
        artifactType: 'application/vnd.example.sig',
        annotations: { by: 'a' }
      },
      { ...descriptorOf(types.manifest, byConfig), artifactType: 'application/vnd.example.sbom' },
      descriptorOf(types.index, index),
      { ...descriptorOf(types.index, typedIndex), artifactType: 'application/vnd.example.set' }
    ]
    const byDigest = (a: Descriptor, b: Descriptor) => (a.digest < b.digest ? -1 : 1)
    expect(listed.toSorted(byDigest)).toEqual(expected.toSorted(byDigest))

    const filtered = await list('refer', subjectDigest, '?artifactType=application/vnd.example.sig')
    expect(filtered.headers['oci-filters-applied']).toBe('artifactType')
    expect(referrersIn(filtered.body.toString()).map(({ digest }) => digest)).toEqual([digestOf(signature)])
    expect(referrersIn((await list('refer', subjectDigest, '?artifactType=a/b')).body.toString())).toEqual([])

    expect((await server.ask(`/v2/refer/manifests/${digestOf(signature)}`, { method: 'DELETE' })).status).toBe(202)
    const left = referrersIn((await list('refer', subjectDigest)).body.toString()).map(({ digest }) => digest)
    expect(left).not.toContain(digestOf(signature))
    expect(left).toHaveLength(3)
  })

  it('of a subject that comes later, that never comes, and that went', async () => {
    await pushBlob(server, 'later', configBytes)
    const coming = manifestOf([], { annotations: { coming: 'later' } })
    const referrer = manifestOf([], { ...of(coming), artifactType: 'a/b' })
    const put = await putManifest(server, 'later', 'referrer', referrer)
    expect(put).toMatchObject({ status: 201, headers: { 'oci-subject': digestOf(coming) } })
    const listed = async () =>
      referrersIn((await list('later', digestOf(coming))).body.toString()).map(({ digest }) => digest)
    expect(await listed()).toEqual([digestOf(referrer)])
    await putManifest(server, 'later', 'subject', coming)
    expect(await listed()).toEqual([digestOf(referrer)])
    await server.ask(`/v2/later/manifests/${digestOf(coming)}`, { method: 'DELETE' })
    expect(await listed()).toEqual([digestOf(referrer)])
    expect(referrersIn((await list('nobody/here', digestOf(coming))).body.toString())).toEqual([])
  })

  it('by a subject whose digest nothing can be stored under', async () => {
    await pushBlob(server, 'other-algorithm', configBytes)
    const names = ['blake3', 'sha256+b64', 'a', 'a_b']
    for (const [at, name] of names.entries()) {
      const subject = { mediaType: types.manifest, digest: `${name}:Az0_-=`, size: 9 }
      const referrer = manifestOf([], { subject, artifactType: `a/b${at}` })
      const put = await putManifest(server, 'other-algorithm', `v${at}`, referrer)
      expect(put).toMatchObject({ status: 201, headers: { 'oci-subject': subject.digest } })
    }
    for (const [at, name] of names.entries()) {
      const listed = await list('other-algorithm', `${name}:Az0_-=`)
      expect(referrersIn(listed.body.toString()).map(({ artifactType }) => artifactType)).toEqual([`a/b${at}`])
    }
    // The beginning of one that is listed is another.
    expect(referrersIn((await list('other-algorithm', 'a:Az0_-')).body.toString())).toEqual([])
    for (const malformed of ['sha256:Az0', 'a:', ':a', 'a:b:c', 'A:b', 'a--b:c', `a:${'b'.repeat(199)}`]) {
      const answer = await server.ask(`/v2/other-algorithm/referrers/${malformed}`)
      expect(answer).toMatchObject({ status: 400, codes: ['DIGEST_INVALID'] })
    }
    await server.ask(
      `/v2/other-algorithm/manifests/${digestOf(manifestOf([], { subject: { mediaType: types.manifest, digest: 'a:Az0_-=', size: 9 }, artifactType: 'a/b2' }))}`,
      { method: 'DELETE' }
    )
    expect(referrersIn((await list('other-algorithm', 'a:Az0_-=')).body.toString())).toEqual([])
  })

  it('by an artifactType whose + is written as it is, and one with a space in a form’s way', async () => {
    const bytes = await pushImage(server, 'plus', 'v1')
    for (const artifactType of ['application/spdx+json', 'text/x; v=1']) {
      await putManifest(
        server,
        'plus',
        digestOf(Buffer.from(artifactType)).slice(7),
        manifestOf([], { ...of(bytes), artifactType })
      )
    }
    for (const [query, found] of [
      ['application/spdx+json', 'application/spdx+json'],
      ['application/spdx%2Bjson', 'application/spdx+json'],
      ['application%2Fspdx%2bjson', 'application/spdx+json'],
      ['text/x;+v=1', 'text/x; v=1'],
      ['text/x;%20v=1', 'text/x; v=1']
    ]) {
      const pages = await pagesFrom(`/v2/plus/referrers/${digestOf(bytes)}?n=1&artifactType=${query}`, referrersIn)
      expect(pages.flat().map(({ artifactType }) => artifactType)).toEqual([found])
    }
  })

  it('of one repository only', async () => {
    await pushBlob(server, 'refer-elsewhere', configBytes)
    const elsewhere = manifestOf([], { ...of(subject), artifactType: 'else/where' })
    await putManifest(server, 'refer-elsewhere', 'v1', elsewhere)
    const digests = referrersIn((await list('refer', subjectDigest)).body.toString()).map(({ digest }) => digest)
    expect(digests).not.toContain(digestOf(elsewhere))
  })

  it('in pages, also under a filter, that come to an end and repeat nothing', async () => {
    const bytes = await pushImage(server, 'refer-pages', 'v1')
    const all: string[] = []
    for (let at = 0; at < 70; at++) {
      const referrer = manifestOf([], {
        ...of(bytes),
        artifactType: at % 2 === 0 ? 'even/x+json' : 'odd/x',
        annotations: { at: String(at) }
      })
      all.push(digestOf(referrer))
      expect((await putManifest(server, 'refer-pages', digestOf(referrer), referrer)).status).toBe(201)
    }
    const path = `/v2/refer-pages/referrers/${digestOf(bytes)}`
    const digestsOf = (pages: Descriptor[][]) =>
      pages
        .flat()
        .map(({ digest }) => digest)
        .toSorted()
    const whole = await pagesFrom(path, referrersIn)
    expect(whole.map(page => page.length)).toEqual([50, 20])
    expect(digestsOf(whole)).toEqual(all.toSorted())
    const filtered = await pagesFrom(`${path}?n=9&artifactType=${encodeURIComponent('even/x+json')}`, referrersIn)
    expect(filtered.map(page => page.length)).toEqual([9, 9, 9, 8])
    expect(filtered.flat().every(({ artifactType }) => artifactType === 'even/x+json')).toBe(true)
    expect(digestsOf(filtered)).toEqual(all.filter((_, at) => at % 2 === 0).toSorted())
  })

  it('as a list of at most 4 MiB a page, however large annotations are', async () => {
    const bytes = await pushImage(server, 'refer-large', 'v1')
    const all: string[] = []
    for (let at = 0; at < 4; at++) {
      const referrer = manifestOf([], { ...of(bytes), annotations: { large: String(at).repeat(1_500_000) } })
      all.push(digestOf(referrer))
      expect((await putManifest(server, 'refer-large', digestOf(referrer), referrer)).status).toBe(201)
    }
    const sizes: number[] = []
    const pages = await pagesFrom(`/v2/refer-large/referrers/${digestOf(bytes)}`, body => {
      sizes.push(body.length)
      return referrersIn(body)
    })
    expect(Math.max(...sizes)).toBeLessThanOrEqual(4 * 1024 * 1024)
    expect(
      pages
        .flat()
        .map(({ digest }) => digest)
        .toSorted()
    ).toEqual(all.toSorted())
  })

  it('the fallback tag of older clients is a tag like any', async () => {
    const tag = subjectDigest.replace(':', '-')
    expect(tag).toMatch(/^sha256-[0-9a-f]{64}$/)
    expect((await server.ask(`/v2/refer/manifests/${tag}`)).codes).toEqual(['MANIFEST_UNKNOWN'])
    const index = indexOf([subject])
    expect((await putManifest(server, 'refer', tag, index)).status).toBe(201)
    expect((await server.ask(`/v2/refer/manifests/${tag}`)).body.equals(index)).toBe(true)
    expect(tagsIn((await server.ask('/v2/refer/tags/list')).body.toString())).toContain(tag)
    expect((await server.ask(`/v2/refer/manifests/${tag}`, { method: 'DELETE' })).status).toBe(202)
    expect((await server.ask(`/v2/refer/manifests/${tag}`)).status).toBe(404)
  })
})
