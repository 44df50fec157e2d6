import { describe, expect, it, vi } from 'vitest'
import type { Authentication } from '../../src/access/authentication.ts'
import type { Authorize } from '../../src/access/authorize.ts'
import type { AuditEntry } from '../../src/access/ports.ts'
import { anonymous } from '../../src/access/subject.ts'
import { RegistryError } from '../../src/errors.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { type Ask, type Served, serve } from './serve.ts'

const secret = 'planted-secret'
const user = { authorization: `Basic ${Buffer.from(`alice:${secret}`).toString('base64')}` }
const stranger = { authorization: `Basic ${Buffer.from(`${secret}:typo`).toString('base64')}` }
const text = (body: string) => new TextEncoder().encode(body)
const blob = text('a blob')
const digest = digestOf(blob)

/** Alice may do everything in `team/` but delete; anonymous may pull `public/`. */
const authorize: Authorize = (subject, action, repository) =>
  subject.kind === 'anonymous'
    ? action === 'pull' && repository.startsWith('public/')
    : action !== 'delete' && (repository.startsWith('team/') || action === 'pull')

const authentication: Authentication = {
  challenge: { service: 'test' },
  tokenServer: {
    issue: async ({ credential }) => {
      if (credential.type === 'none')
        return { token: secret, subject: anonymous, expiresIn: 1, issuedAt: 0, scopes: [] }
      if (credential.type === 'authorization' && credential.header === user.authorization) {
        const scopes = [{ type: 'repository', name: 'team/app', actions: ['pull'] }]
        return { token: secret, subject: alice, expiresIn: 1, issuedAt: 0, scopes, refreshToken: secret }
      }
      throw new RegistryError('UNAUTHORIZED')
    }
  },
  identify: header => {
    if (header === undefined) return { subject: anonymous }
    if (header === user.authorization) return { subject: alice }
    throw new RegistryError('UNAUTHORIZED')
  }
}
const alice = { kind: 'user', name: 'alice', groups: [] } as const

async function audited(pulls = false): Promise<{ node: Served; entries: AuditEntry[] }> {
  const entries: AuditEntry[] = []
  const audit = { record: (entry: AuditEntry) => void entries.push(entry) }
  const node = await serve({ authorize, components: { authentication, audit }, init: { auditPulls: pulls } })
  node.registry.addBlob('team/app', blob)
  node.registry.addBlob('public/app', blob)
  return { node, entries }
}

/** Entries are made when the answer is out: waits for those of a last request, and takes them away. */
async function allMade(node: Served, entries: AuditEntry[]): Promise<void> {
  await node.ask('/token', { headers: { ...user, 'X-Request-Id': 'last' } })
  await vi.waitFor(() => expect(entries.at(-1)).toMatchObject({ requestId: 'last' }))
  entries.pop()
}

/** The entry of one request, without what every one has; `undefined` when there is none. */
async function entryOf(path: string, init: Ask = {}, pulls = false) {
  const { node, entries } = await audited(pulls)
  const { status } = await node.ask(path, { ...init, headers: { ...init.headers, 'X-Request-Id': 'r-1' } })
  await allMade(node, entries)
  expect(JSON.stringify(entries)).not.toContain(secret)
  if (entries.length === 0) return { status }
  expect(entries).toHaveLength(1)
  const { from, requestId, ...rest } = entries[0] ?? { from: undefined, requestId: undefined }
  expect({ from, requestId }).toEqual({ from: '127.0.0.1', requestId: 'r-1' })
  expect(rest).toHaveProperty('status', status)
  return rest
}

describe('an entry is made of', () => {
  const by = { subject: 'user:alice', repository: 'team/app', outcome: 'allowed' }
  const put = { method: 'PUT', headers: user }

  it('a blob pushed at once, and one that is mounted with where from', async () => {
    const upload = { method: 'POST', headers: user, body: blob }
    expect(await entryOf(`/v2/team/app/blobs/uploads/?digest=${digest}`, upload)).toEqual({
      ...by,
      action: 'push',
      reference: digest,
      status: 201
    })
    const mount = { method: 'POST', headers: user }
    expect(await entryOf(`/v2/team/new/blobs/uploads/?mount=${digest}&from=public/app`, mount)).toEqual({
      ...by,
      repository: 'team/new',
      action: 'mount',
      reference: digest,
      source: 'public/app',
      status: 201
    })
  })

  it('a session’s end, not its begin nor its chunks', async () => {
    const { node, entries } = await audited()
    const { headers } = await node.ask('/v2/team/app/blobs/uploads/', { method: 'POST', headers: user })
    const location = new URL(headers.location ?? '', 'http://x').pathname
    await node.ask(location, { method: 'PATCH', headers: user, body: blob })
    await node.ask(`${location}?digest=${digest}`, put)
    await allMade(node, entries)
    expect(entries).toMatchObject([{ ...by, action: 'push', reference: digest, status: 201 }])
  })

  it('a manifest with the digest that its tag has now', async () => {
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: []
    })
    const headers = { ...user, 'Content-Type': 'application/vnd.oci.image.index.v1+json' }
    expect(await entryOf('/v2/team/app/manifests/v1', { method: 'PUT', headers, body: manifest })).toEqual({
      ...by,
      action: 'push',
      reference: 'v1',
      digest: digestOf(text(manifest)),
      status: 201
    })
  })

  it('what was refused: to somebody with a name, and to anonymous when there is no way for it', async () => {
    expect(await entryOf(`/v2/team/app/blobs/${digest}`, { method: 'DELETE', headers: user })).toEqual({
      ...by,
      action: 'delete',
      reference: digest,
      outcome: 'denied',
      status: 403
    })
    expect(await entryOf('/v2/other/app/blobs/uploads/', { method: 'POST', headers: user })).toMatchObject({
      repository: 'other/app',
      action: 'push',
      outcome: 'denied'
    })
  })

  it('what a web page elsewhere wanted, and administration where there is none', async () => {
    const page = { origin: 'https://evil.example', ...user }
    const refused = { subject: 'anonymous', outcome: 'denied', status: 403 }
    const path = `/v2/team/app/manifests/${digest}`
    expect(await entryOf(path, { method: 'DELETE', headers: page })).toEqual({
      ...refused,
      action: 'delete',
      repository: 'team/app',
      reference: digest
    })
    expect(await entryOf('/v2/NO', { method: 'PUT', headers: page })).toEqual({ ...refused, action: 'login' })
    const near = { method: 'DELETE', headers: page }
    expect(await entryOf(`/v2xteam/app/manifests/${digest}`, near)).toEqual({ ...refused, action: 'login' })
    expect(await entryOf('/token', { headers: page })).toEqual({ ...refused, action: 'token' })
    expect(await entryOf('/admin/v1/gc', { method: 'POST', headers: page })).toEqual({ ...refused, action: 'admin' })
    expect(await entryOf('/', { method: 'POST', headers: page })).toEqual({ ...refused, action: 'login' })
  })

  it('a credential that was refused, without the name that it claims', async () => {
    const refused = { subject: 'anonymous', outcome: 'denied', status: 401 }
    expect(await entryOf('/v2/', { headers: stranger })).toEqual({ ...refused, action: 'login' })
    expect(await entryOf('/v2/public/app/tags/list', { headers: stranger })).toMatchObject({
      outcome: 'denied',
      status: 401
    })
    expect(await entryOf('/token', { headers: stranger })).toEqual({ ...refused, action: 'token' })
  })

  it('a token issued, with whom to and what for', async () => {
    expect(await entryOf('/token', { headers: user })).toEqual({
      subject: 'user:alice',
      action: 'token',
      reference: 'repository:team/app:pull',
      outcome: 'allowed',
      status: 200
    })
  })

  it('a push that failed', async () => {
    const manifest = { ...put, body: '{' }
    expect(await entryOf('/v2/team/app/manifests/v1', manifest)).toMatchObject({ action: 'push', outcome: 'failed' })
  })

  it('private pulls, when that is asked for; never public ones', async () => {
    const pull = { headers: user }
    expect(await entryOf(`/v2/team/app/blobs/${digest}`, pull, true)).toEqual({
      ...by,
      action: 'pull',
      reference: digest,
      status: 200
    })
    expect(await entryOf(`/v2/public/app/blobs/${digest}`, pull, true)).toEqual({ status: 200 })
  })
})

describe('a client that hangs up', () => {
  const asked = (method: string, path: string, credential = user.authorization) =>
    `${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${credential}\r\n\r\n`

  /** Hangs up while the registry works; then lets it go on. */
  async function hungUp(request: string, work: (node: Served) => { begun: Promise<void>; goOn(): void }) {
    const { node, entries } = await audited(true)
    const { begun, goOn } = work(node)
    const wire = await node.connect()
    wire.socket.write(request)
    await begun
    wire.socket.resetAndDestroy()
    await vi.waitFor(() => expect(node.app.connections.count).toBe(0))
    expect(entries).toEqual([])
    goOn()
    await vi.waitFor(() => expect(entries).toHaveLength(1))
    await allMade(node, entries)
    return entries
  }

  it('is not told failed of what succeeded all the same', async () => {
    const entries = await hungUp(asked('PUT', '/v2/team/app/manifests/v1'), node => paused(node, 'putManifest'))
    expect(entries).toMatchObject([{ subject: 'user:alice', action: 'push', outcome: 'allowed', status: 201 }])
  })
})

/** Makes a use case wait. */
function paused(node: Served, name: 'putManifest') {
  const begun = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const work = node.registry[name].bind(node.registry)
  vi.spyOn(node.registry, name).mockImplementation(async (...args) => {
    begun.resolve()
    await gate.promise
    return work(...args)
  })
  return { begun: begun.promise, goOn: () => gate.resolve() }
}

describe('no entry is made of', () => {
  it.each<[string, string, Ask, number]>([
    ['a pull', `/v2/team/app/blobs/${digest}`, { headers: user }, 200],
    ['asking how to sign in', '/v2/', {}, 401],
    ['a push that was not signed in yet', '/v2/team/app/blobs/uploads/', { method: 'POST' }, 401],
    ['a token for anonymous', '/token', {}, 200],
    ['what is no part of the registry', '/readyz', { headers: stranger }, 200],
    ['a pull of what is not there', `/v2/team/none/blobs/${digest}`, { headers: user }, 404]
  ])('%s', async (_, path, init, status) => {
    expect(await entryOf(path, init)).toEqual({ status })
  })
})
