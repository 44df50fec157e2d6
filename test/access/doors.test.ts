/** Every HTTP door × everybody × every action: what they may is written down here by hand, and nothing else is let through. */
import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAccess } from '../../src/access/authorize.ts'
import { createDebugApp } from '../../src/http/debug-app.ts'
import { createHttpMetrics } from '../../src/http/metrics.ts'
import { UnixfsDagBuilder } from '../../src/ipfs/dag-builder.ts'
import { createBlockSource } from '../../src/node/block-source.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { type Answer, memoryLog } from '../http/serve.ts'
import { configBytes, indexOf, manifestOf, startServer, types } from '../oci-api/server.ts'
import { pushBlob, pushImage } from '../registry/temporary-registry.ts'
import { type Guarded, rules, startExternal, startGuarded, type Who } from './guarded-server.ts'

type Right = 'pull' | 'create' | 'push' | 'delete'
const everything: readonly Right[] = ['pull', 'create', 'push', 'delete']
const writing: readonly Right[] = ['pull', 'create', 'push']
const repositories = ['public/app', 'team/app', 'closed/app'] as const
type Repository = (typeof repositories)[number]

/** Who may what. */
const table: Readonly<Record<Who, Readonly<Record<Repository, readonly Right[]>>>> = {
  anonymous: { 'public/app': ['pull'], 'team/app': [], 'closed/app': [] },
  'anonymous bearer': { 'public/app': ['pull'], 'team/app': [], 'closed/app': [] },
  user: { 'public/app': writing, 'team/app': writing, 'closed/app': [] },
  'user bearer': { 'public/app': writing, 'team/app': writing, 'closed/app': [] },
  'user in group': { 'public/app': everything, 'team/app': everything, 'closed/app': [] },
  'user in group bearer': { 'public/app': everything, 'team/app': everything, 'closed/app': [] },
  'pull token': { 'public/app': ['pull'], 'team/app': ['pull'], 'closed/app': [] },
  'push token': { 'public/app': ['pull'], 'team/app': writing, 'closed/app': [] },
  'push token bearer': { 'public/app': ['pull'], 'team/app': writing, 'closed/app': [] },
  'create token': { 'public/app': ['pull'], 'team/app': ['pull', 'create'], 'closed/app': [] },
  'admin token': { 'public/app': everything, 'team/app': everything, 'closed/app': everything },
  'admin user': { 'public/app': everything, 'team/app': everything, 'closed/app': everything },
  'admin bearer': { 'public/app': everything, 'team/app': everything, 'closed/app': everything },
  'expired token': { 'public/app': [], 'team/app': [], 'closed/app': [] },
  'removed user': { 'public/app': [], 'team/app': [], 'closed/app': [] },
  'wrong password': { 'public/app': [], 'team/app': [], 'closed/app': [] }
}
const everybody: readonly Who[] = Object.keys(table).filter((name): name is Who => name in table)
const invalid: ReadonlySet<Who> = new Set(['expired token', 'removed user', 'wrong password'])
const nameless: ReadonlySet<Who> = new Set(['anonymous', 'anonymous bearer'])

let guarded: Guarded
beforeAll(async () => {
  guarded = await startGuarded()
  for (const repository of repositories) {
    await pushImage(guarded.server.store.registry, repository, 'v1', [100])
    await pushBlob(guarded.server.store.registry, repository, configBytes)
  }
})
afterAll(() => guarded.close())

interface Request {
  method: string
  path: string
  body?: Uint8Array
  type?: string
}

interface DoorCase {
  needs: Right
  /** Makes what the request is about, by the back door. */
  ask(repository: string): Promise<Request> | Request
  /** Status when it is let through. */
  status: number
}

const registry = () => guarded.server.store.registry
const session = async (repository: string) => {
  const { id } = await registry().startUpload(repository, 'sha256')
  return `/v2/${repository}/blobs/uploads/${id}`
}
const note = () => manifestOf([], { annotations: { note: randomUUID() } })
const tagged = async (repository: string) => {
  const tag = `t-${randomUUID()}`
  const bytes = note()
  await registry().putManifest(repository, { bytes, mediaType: types.manifest, tags: [tag] })
  return { tag, bytes, digest: digestOf(bytes) }
}
const put = (path: string, body: Uint8Array): Request => ({ method: 'PUT', path, body, type: types.manifest })

const doors: Readonly<Record<string, DoorCase>> = {
  'end-2 GET': {
    needs: 'pull',
    ask: repository => ({ method: 'GET', path: `/v2/${repository}/blobs/${digestOf(configBytes)}` }),
    status: 200
  },
  'end-2 HEAD': {
    needs: 'pull',
    ask: repository => ({ method: 'HEAD', path: `/v2/${repository}/blobs/${digestOf(configBytes)}` }),
    status: 200
  },
  'end-3 GET': {
    needs: 'pull',
    ask: repository => ({ method: 'GET', path: `/v2/${repository}/manifests/v1` }),
    status: 200
  },
  'end-3 HEAD': {
    needs: 'pull',
    ask: repository => ({ method: 'HEAD', path: `/v2/${repository}/manifests/v1` }),
    status: 200
  },
  'end-4a': {
    needs: 'create',
    ask: repository => ({ method: 'POST', path: `/v2/${repository}/blobs/uploads/` }),
    status: 202
  },
  'end-4b': {
    needs: 'create',
    ask: repository => {
      const body = randomBytes(32)
      return { method: 'POST', path: `/v2/${repository}/blobs/uploads/?digest=${digestOf(body)}`, body }
    },
    status: 201
  },
  'end-5': {
    needs: 'create',
    ask: async repository => ({ method: 'PATCH', path: await session(repository), body: Buffer.from('bytes') }),
    status: 202
  },
  'end-6': {
    needs: 'create',
    ask: async repository => {
      const body = randomBytes(32)
      return { method: 'PUT', path: `${await session(repository)}?digest=${digestOf(body)}`, body }
    },
    status: 201
  },
  'end-7 new tag': {
    needs: 'create',
    ask: repository => put(`/v2/${repository}/manifests/t-${randomUUID()}`, note()),
    status: 201
  },
  'end-7 digest': {
    needs: 'create',
    ask: repository => {
      const body = note()
      return put(`/v2/${repository}/manifests/${digestOf(body)}`, body)
    },
    status: 201
  },
  'end-7 same tag, same manifest': {
    needs: 'create',
    ask: async repository => {
      const { tag, bytes } = await tagged(repository)
      return put(`/v2/${repository}/manifests/${tag}`, bytes)
    },
    status: 201
  },
  'end-7 moving a tag': {
    needs: 'push',
    ask: async repository => put(`/v2/${repository}/manifests/${(await tagged(repository)).tag}`, note()),
    status: 201
  },
  'end-7b moving a tag': {
    needs: 'push',
    ask: async repository => {
      const body = note()
      return put(`/v2/${repository}/manifests/${digestOf(body)}?tag=${(await tagged(repository)).tag}`, body)
    },
    status: 201
  },
  'end-8': {
    needs: 'pull',
    ask: repository => ({ method: 'GET', path: `/v2/${repository}/tags/list` }),
    status: 200
  },
  'end-9 tag': {
    needs: 'delete',
    ask: async repository => ({
      method: 'DELETE',
      path: `/v2/${repository}/manifests/${(await tagged(repository)).tag}`
    }),
    status: 202
  },
  'end-9 digest': {
    needs: 'delete',
    ask: async repository => ({
      method: 'DELETE',
      path: `/v2/${repository}/manifests/${(await tagged(repository)).digest}`
    }),
    status: 202
  },
  'end-10': {
    needs: 'delete',
    ask: async repository => ({
      method: 'DELETE',
      path: `/v2/${repository}/blobs/${await pushBlob(registry(), repository, randomBytes(32))}`
    }),
    status: 202
  },
  'end-12': {
    needs: 'pull',
    ask: repository => ({ method: 'GET', path: `/v2/${repository}/referrers/${digestOf(configBytes)}` }),
    status: 200
  },
  'end-13': {
    needs: 'create',
    ask: async repository => ({ method: 'GET', path: await session(repository) }),
    status: 204
  },
  'end-14': {
    needs: 'create',
    ask: async repository => ({ method: 'DELETE', path: await session(repository) }),
    status: 204
  }
}

async function knock(who: Who, repository: string, { method, path, body, type }: Request): Promise<Answer> {
  const authorization = await guarded.headerOf(who, repository)
  return guarded.server.ask(path, {
    method,
    headers: { ...(authorization && { Authorization: authorization }), ...(type && { 'Content-Type': type }) },
    ...(body && { body })
  })
}

const scopeOf: Readonly<Record<Right, string>> = {
  pull: 'pull',
  create: 'pull,push',
  push: 'pull,push',
  delete: 'delete'
}

function expectRefused(answer: Answer, who: Who, repository: string, right: Right): void {
  const challenge = String(answer.headers['www-authenticate'] ?? '')
  if (invalid.has(who)) {
    expect(answer.status).toBe(401)
    expect(challenge).toMatch(/^Bearer .*,error="invalid_token"$/)
  } else if (nameless.has(who)) {
    expect(answer.status).toBe(401)
    expect(challenge).toMatch(
      new RegExp(
        `^Bearer realm="http://127.0.0.1:\\d+/token",service="registry.test",scope="repository:${repository}:${scopeOf[right]}"$`
      )
    )
  } else {
    expect(answer.status).toBe(403)
    expect(challenge).toBe('')
  }
}

describe.each(Object.entries(doors))('%s', (_, door) => {
  it.each(everybody)('%s', async who => {
    for (const repository of repositories) {
      const answer = await knock(who, repository, await door.ask(repository))
      const allowed = table[who][repository].includes(door.needs)
      if (allowed) expect({ repository, status: answer.status }).toEqual({ repository, status: door.status })
      else expectRefused(answer, who, repository, door.needs)
    }
  })
})

describe('what is refused', () => {
  it.each(['GET', 'HEAD'])('is told the same whether it exists or not: %s', async method => {
    const digest = digestOf(configBytes)
    for (const who of ['anonymous', 'user', 'pull token'] as const) {
      for (const path of [`manifests/v1`, `blobs/${digest}`, 'tags/list', `referrers/${digest}`]) {
        const [there, absent] = await Promise.all(
          ['closed/app', 'closed/abc'].map(name => knock(who, name, { method, path: `/v2/${name}/${path}` }))
        )
        const plain = (answer: Answer | undefined) =>
          JSON.stringify([
            answer?.status,
            answer?.rawHeaders.filter((_, at, all) => !/^(?:x-request-id|date)$/i.test(all[at - (at % 2)] ?? '')),
            answer?.body.toString()
          ]).replaceAll('closed/app', 'closed/abc')
        expect(plain(there)).toBe(plain(absent))
        expect([401, 403]).toContain(there?.status)
      }
    }
  })

  it('as an upload is told before its body is read, and the connection still serves', async () => {
    const answer = await guarded.server.ask('/v2/team/app/blobs/uploads/', {
      method: 'POST',
      body: randomBytes(100_000)
    })
    expect(answer).toMatchObject({ status: 401, codes: ['UNAUTHORIZED'] })
    const open = await guarded.server.ask('/v2/public/app/manifests/v1')
    expect(open.status).toBe(200)
  })
})

describe('a bearer token', () => {
  it('issued for something else is told which scope to ask for, also by a HEAD', async () => {
    const header = await guarded.headerOf('user bearer', 'team/other')
    for (const method of ['GET', 'HEAD']) {
      const headers = { Authorization: header ?? '' }
      const answer = await guarded.server.ask('/v2/team/app/manifests/v1', { method, headers })
      expect(answer.status).toBe(401)
      expect(answer.headers['www-authenticate']).toContain(
        'scope="repository:team/app:pull",error="insufficient_scope"'
      )
    }
  })

  it('is worth what its user may at this moment', async () => {
    const { who, server } = guarded
    await who.user('dave', 'secret', ['keepers'])
    const headers = { Authorization: await who.bearer(`Basic ${btoa('dave:secret')}`) }
    const remove = async () => {
      const { tag } = await tagged('team/app')
      return server.ask(`/v2/team/app/manifests/${tag}`, { method: 'DELETE', headers })
    }
    expect((await remove()).status).toBe(202)
    const entry = who.users.get('dave')
    if (entry === undefined) throw new Error('no such user')
    who.users.set('dave', { ...entry, groups: [] })
    expect(await remove()).toMatchObject({ status: 403, codes: ['DENIED'] })
    who.users.delete('dave')
    expect((await remove()).headers['www-authenticate']).toContain('error="invalid_token"')
  })
})

describe('a mount', () => {
  const mount = async (who: Who, target: string, from: string | undefined, digest: string, issuedFor = target) => {
    const authorization = await guarded.headerOf(who, issuedFor)
    const source = from === undefined ? '' : `&from=${from}`
    return guarded.server.ask(`/v2/${target}/blobs/uploads/?mount=${digest}${source}`, {
      method: 'POST',
      headers: authorization === undefined ? {} : { Authorization: authorization }
    })
  }
  const bringing = async (repository: string) => pushBlob(registry(), repository, randomBytes(32))

  it('needs pull on the source, else it is the miss that an absent blob is', async () => {
    const secret = await bringing('closed/app')
    for (const from of ['closed/app', undefined])
      expect((await mount('user', 'team/app', from, secret)).status).toBe(202)
    expect((await mount('admin token', 'team/mounted', 'closed/app', secret)).status).toBe(201)
    for (const from of ['public/app', undefined])
      expect((await mount('push token', 'team/mounted', from, await bringing('public/app'))).status).toBe(201)
  })

  it('with a bearer that names one repository asks for both', async () => {
    const answer = await mount('user bearer', 'team/app', 'public/app', await bringing('public/app'))
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toContain(
      'scope="repository:team/app:pull,push repository:public/app:pull",error="insufficient_scope"'
    )
    expect((await mount('user bearer', 'team/app', 'closed/app', await bringing('closed/app'))).status).toBe(202)
    // Without `from` there is nothing to ask for.
    expect((await mount('user bearer', 'team/app', undefined, await bringing('public/app'))).status).toBe(202)
  })
})

describe('/v2/', () => {
  it.each(everybody)('%s', async who => {
    const answer = await knock(who, 'team/app', { method: 'GET', path: '/v2/' })
    const refused = who === 'anonymous' || invalid.has(who)
    expect(answer.status).toBe(refused ? 401 : 200)
    if (refused)
      expect(answer.headers['www-authenticate']).toMatch(
        /^Bearer realm="http:\/\/127\.0\.0\.1:\d+\/token",service="registry\.test"/
      )
  })
})

describe('_catalog', () => {
  const list = async (who: Who) => {
    const answer = await knock(who, 'team/app', { method: 'GET', path: '/v2/_catalog' })
    const { repositories: names = [] }: { repositories?: string[] } = JSON.parse(answer.body.toString())
    return { status: answer.status, names, challenge: answer.headers['www-authenticate'] }
  }

  it.each(everybody.filter(who => !invalid.has(who) && !who.endsWith('bearer')))('%s', async who => {
    const { status, names } = await list(who)
    expect(status).toBe(200)
    for (const repository of repositories)
      expect(names.includes(repository)).toBe(table[who][repository].includes('pull'))
  })

  it('takes a bearer that was issued for it', async () => {
    const { status, challenge } = await list('user bearer')
    expect(status).toBe(401)
    expect(challenge).toContain('scope="registry:catalog:*",error="insufficient_scope"')
    for (const headers of [{}, { Authorization: `Basic ${btoa('alice:secret')}` }]) {
      const issued = await guarded.server.ask('/token?scope=registry:catalog:*', { headers })
      const { token } = JSON.parse(issued.body.toString())
      const answer = await guarded.server.ask('/v2/_catalog', { headers: { Authorization: `Bearer ${token}` } })
      expect(answer.status).toBe(200)
      expect(answer.body.toString()).toContain('public/app')
      expect(answer.body.toString().includes('team/app')).toBe('Authorization' in headers)
    }
  })
})

describe('the admin API', () => {
  const paths = ['/admin/v1/version', '/admin/v1/ls', '/admin/v1/tokens', '/admin/v1/nothing', '/admin', '/admin/']

  it.each(everybody)('%s', async who => {
    for (const path of paths) {
      const { status } = await knock(who, 'team/app', { method: 'GET', path })
      const isAdmin = who === 'admin token' || who === 'admin user'
      const isThere = path === paths[0] || path === paths[1] || path === paths[2]
      expect({ path, status }).toEqual({
        path,
        status: isAdmin ? (isThere ? 200 : 404) : nameless.has(who) ? 401 : invalid.has(who) ? 401 : 403
      })
    }
  })

  it('does what the control socket does', async () => {
    const { tag } = await tagged('team/app')
    const authorization = await guarded.headerOf('admin token', '')
    const ask = (path: string, body: object) =>
      guarded.server.ask(`/admin/v1${path}`, {
        method: 'POST',
        headers: { Authorization: authorization ?? '', 'Content-Type': 'application/json' },
        body: JSON.stringify(body)
      })
    expect((await ask('/rm', { repository: 'team/app', tag })).status).toBe(204)
    expect((await ask('/rm', { repository: 'team/app', tag })).status).toBe(404)
    expect((await ask('/gc', { dryRun: 1 })).status).toBe(400)
    expect((await ask('/gc', { dryRun: true })).body.toString()).toContain('"result"')
  })

  it('is closed where nobody signs in', async () => {
    const identity = async () => ({ peerId: '', multiaddrs: [] })
    const open = await startServer({ components: { control: { node: { version: '1', identity } } } })
    try {
      for (const headers of [{}, { Authorization: 'Basic YTpi' }])
        expect(await open.ask('/admin/v1/version', { headers })).toMatchObject({ status: 403, codes: ['DENIED'] })
    } finally {
      await open.close()
    }
  })
})

describe('/token', () => {
  it.each(everybody.filter(who => !who.endsWith('bearer') && who !== 'removed user'))('%s', async who => {
    for (const repository of repositories) {
      const answer = await knock(who, repository, {
        method: 'GET',
        path: `/token?service=registry.test&scope=repository:${repository}:pull,push,delete`
      })
      expect(answer.headers['cache-control']).toBe('no-store')
      if (invalid.has(who)) {
        expect(answer).toMatchObject({ status: 401, codes: ['UNAUTHORIZED'] })
        expect(answer.headers['www-authenticate']).toMatch(/^Basic realm=/)
        continue
      }
      expect(answer.status).toBe(200)
      const rights = table[who][repository]
      const granted = ['pull', 'push', 'delete'].filter(
        word => rights.some(right => right === word) || (word === 'push' && rights.includes('create'))
      )
      const { scope } = JSON.parse(answer.body.toString())
      expect(scope).toBe(granted.length === 0 ? '' : `repository:${repository}:${granted.join(',')}`)
    }
  })
})

describe('metrics beyond loopback', () => {
  it.each(everybody)('%s', async who => {
    const access = { ...createAccess({ rules }), authentication: guarded.who.authentication }
    const app = createDebugApp({ log: memoryLog(), metrics: createHttpMetrics(), access })
    const authorization = await guarded.headerOf(who, 'team/app')
    const headers = authorization === undefined ? {} : { authorization }
    try {
      for (const url of ['/livez', '/readyz?verbose']) expect((await app.inject({ url, headers })).statusCode).toBe(200)
      for (const url of ['/metrics', '/debug/health', '/nothing']) {
        const { statusCode, headers: sent } = await app.inject({ url, headers })
        if (who === 'admin token' || who === 'admin user') expect(statusCode).toBe(url === '/nothing' ? 404 : 200)
        else if (nameless.has(who) || invalid.has(who)) {
          expect(statusCode).toBe(401)
          expect(sent['www-authenticate']).toBe('Basic realm="registry.test", charset="UTF-8"')
        } else expect(statusCode).toBe(403)
      }
    } finally {
      await app.close()
    }
  })
})

describe('bitswap', () => {
  it('gives what anonymous may pull, whoever else may', async () => {
    const { metadata, files } = guarded.server.store
    const source = createBlockSource({
      metadata,
      files,
      dags: new UnixfsDagBuilder(),
      ...createAccess({ rules }),
      blobPath: () => ''
    })
    for (const repository of repositories) {
      const digest = await pushBlob(registry(), repository, randomBytes(32))
      expect(await source.mayServe(`blob:${digest}`)).toBe(table.anonymous[repository].includes('pull'))
    }
  })
})

describe('immutable tags', () => {
  it('are set once, by anybody who may, and then stay', async () => {
    const bytes = note()
    const path = '/v2/team/app/manifests/fixed-1'
    expect((await knock('admin token', 'team/app', { method: 'DELETE', path })).status).toBe(404)
    expect((await knock('create token', 'team/app', put(path, bytes))).status).toBe(201)
    expect((await knock('push token', 'team/app', put(path, bytes))).status).toBe(201)
    const moved = await knock('admin token', 'team/app', put(path, note()))
    expect(moved).toMatchObject({ status: 403, codes: ['DENIED'] })
    expect(moved.body.toString()).toContain('fixed-*')
    for (const target of [path, `/v2/team/app/manifests/${digestOf(bytes)}`])
      expect(await knock('admin token', 'team/app', { method: 'DELETE', path: target })).toMatchObject({
        status: 403,
        codes: ['DENIED']
      })
    expect(
      (await guarded.server.ask(path, { headers: { Authorization: (await guarded.headerOf('user', '')) ?? '' } }))
        .headers['docker-content-digest']
    ).toBe(digestOf(bytes))
  })

  it('keep what they are made of', async () => {
    const remove = (kind: string, digest: string) =>
      knock('admin token', 'team/app', { method: 'DELETE', path: `/v2/team/app/${kind}/${digest}` })
    const layer = randomBytes(50)
    const blob = await pushBlob(guarded.server.store.registry, 'team/app', layer)
    const loose = await pushBlob(guarded.server.store.registry, 'team/app', randomBytes(50))
    const child = manifestOf([layer])
    expect((await knock('push token', 'team/app', put('/v2/team/app/manifests/moving', child))).status).toBe(201)
    const index = put('/v2/team/app/manifests/fixed-2', indexOf([child]))
    expect((await knock('push token', 'team/app', { ...index, type: types.index })).status).toBe(201)
    for (const [kind, digest] of [
      ['blobs', blob],
      ['manifests', digestOf(child)]
    ] as const) {
      const answer = await remove(kind, digest)
      expect(answer).toMatchObject({ status: 403, codes: ['DENIED'] })
      expect(answer.body.toString()).toContain('fixed-2')
    }
    expect((await remove('blobs', loose)).status).toBe(202)
    expect((await remove('blobs', loose)).status).toBe(404)
  })

  it('are looked for once in each manifest above, of which indexes of indexes make many ways', async () => {
    const { registry } = guarded.server.store
    const layer = randomBytes(50)
    const digest = await pushBlob(registry, 'team/ladder', layer)
    await pushBlob(registry, 'team/ladder', configBytes)
    const store = async (bytes: Uint8Array, mediaType: string) => {
      await registry.putManifest('team/ladder', { bytes, mediaType, tags: [] })
      return bytes
    }
    let rung = [await store(manifestOf([layer]), types.manifest)]
    for (let step = 0; step < 40; step++) {
      rung = await Promise.all(
        ['left', 'right'].map(side => store(indexOf(rung, { annotations: { side, step: `${step}` } }), types.index))
      )
    }
    const path = `/v2/team/ladder/blobs/${digest}`
    expect((await knock('admin token', 'team/ladder', { method: 'DELETE', path })).status).toBe(202)
  })
})

describe('an external token', () => {
  it('may what its claim says, and asks its own server for the rest', async () => {
    const { server, bearer, close } = await startExternal()
    try {
      await pushImage(server.store.registry, 'team/app', 'v1', [10])
      const ask = async (
        method: string,
        path: string,
        access: readonly { type: string; name: string; actions: string[] }[]
      ) => server.ask(path, { method, headers: { Authorization: await bearer(access) } })
      const grant = (...actions: string[]) => [{ type: 'repository', name: 'team/app', actions }]
      expect((await ask('GET', '/v2/', [])).status).toBe(200)
      expect((await ask('GET', '/v2/team/app/manifests/v1', grant('pull'))).status).toBe(200)
      expect((await ask('POST', '/v2/team/app/blobs/uploads/', grant('push'))).status).toBe(202)
      expect((await ask('DELETE', '/v2/team/app/manifests/v1', grant('pull', 'push'))).status).toBe(401)
      const refused = await ask('POST', '/v2/team/app/blobs/uploads/', grant('pull'))
      expect(refused.status).toBe(401)
      expect(refused.headers['www-authenticate']).toBe(
        'Bearer realm="https://auth.example/token",service="registry",scope="repository:team/app:pull,push",error="insufficient_scope"'
      )
      expect((await server.ask('/v2/team/app/manifests/v1')).status).toBe(401)
      const elsewhere = await pushBlob(server.store.registry, 'other/app', randomBytes(32))
      const mount = `/v2/team/app/blobs/uploads/?mount=${elsewhere}&from=other/app`
      expect((await ask('POST', mount, grant('pull', 'push'))).status).toBe(202)
      const both = [...grant('pull', 'push'), { type: 'repository', name: 'other/app', actions: ['pull'] }]
      expect((await ask('POST', mount, both)).status).toBe(201)
      expect((await server.ask('/token')).status).toBe(404)
      expect((await ask('DELETE', '/v2/team/app/manifests/v1', grant('*'))).status).toBe(202)
    } finally {
      await close()
    }
  })
})

describe('where nobody signs in', () => {
  it('what is closed says how it is opened', async () => {
    const { authorize } = createAccess({ rules: rules.filter(({ subject }) => subject.kind === 'anonymous') })
    const open = await startServer({ app: { openHint: () => 'set access: open' }, components: { authorize } })
    try {
      const answer = await open.ask('/v2/public/app/manifests/v1', { method: 'DELETE' })
      expect(answer).toMatchObject({ status: 403, codes: ['DENIED'] })
      expect(answer.headers).not.toHaveProperty('www-authenticate')
      expect(answer.body.toString()).toContain('set access: open')
      expect((await open.ask('/v2/')).status).toBe(200)
      expect((await open.ask('/token')).status).toBe(404)
    } finally {
      await open.close()
    }
  })
})
