import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openOwnTokens } from '../../src/access/own-tokens.ts'
import { createControlApp } from '../../src/http/control-app.ts'
import { openMetadata } from '../../src/metadata/open.ts'
import { MemoryRegistry } from './memory-registry.ts'
import { memoryLog } from './serve.ts'

async function control() {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-tokens-'))
  const metadata = await openMetadata(join(folder, 'metadata'))
  const tokens = await openOwnTokens({ store: metadata.tokens, clock: Date })
  const identity = async () => ({ peerId: '12D3', multiaddrs: [] })
  const access = { tokens, authenticating: true }
  const node = { version: '1.2.3', identity }
  const app = createControlApp({ registry: new MemoryRegistry(), node, log: memoryLog(), access })
  onTestFinished(async () => {
    await app.close()
    await metadata.close()
    await rm(folder, { recursive: true })
  })
  const ask = async (method: 'GET' | 'POST', url: string, payload?: object | string) => {
    const headers = payload === undefined ? {} : { 'Content-Type': 'application/json' }
    const {
      statusCode,
      headers: answered,
      body
    } = await app.inject({ method, url, headers, ...(payload && { payload }) })
    const lines = body.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line)]))
    return { status: statusCode, headers: answered, lines }
  }
  return { tokens, ask }
}

const wanted = { name: 'ci', grants: [{ repositories: 'team/**', actions: ['pull', 'push'] }] }

describe('the routes about tokens', () => {
  it('make one, tell its secret once, and list and remove it', async () => {
    const { ask, tokens } = await control()
    const made = await ask('POST', '/tokens', { ...wanted, expiresAt: Date.now() + 1e6 })
    expect(made).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
    const [{ token, record, authenticating }] = made.lines
    expect(authenticating).toBe(true)
    expect(tokens.find(token)).toMatchObject({ id: record.id, name: 'ci' })
    expect((await ask('GET', '/tokens')).lines).toEqual([{ record }])
    expect(Object.keys(record).sort()).toEqual(['createdAt', 'expiresAt', 'grants', 'id', 'kind', 'name'])
    expect((await ask('POST', '/tokens/remove', { token: 'ci' })).lines).toEqual([{ record }])
    expect(await ask('POST', '/tokens/remove', { token: 'ci' })).toMatchObject({
      status: 404,
      headers: { 'pinnace-reason': 'NOT_FOUND' }
    })
    expect((await ask('GET', '/tokens')).lines).toEqual([])
    expect(tokens.find(token)).toBeUndefined()
  })

  it('list what clients keep instead of a password only when asked, without what it was made with', async () => {
    const { ask, tokens } = await control()
    const secret = await tokens.startSession({ name: 'alice', hash: '$2y$10$abc', groups: [] })
    await ask('POST', '/tokens', wanted)
    expect((await ask('GET', '/tokens')).lines).toMatchObject([{ record: { name: 'ci', kind: 'access' } }])
    const { lines } = await ask('GET', '/tokens?all=true')
    expect(lines).toMatchObject([{ record: { name: 'ci' } }, { record: { kind: 'refresh', user: 'alice' } }])
    expect(JSON.stringify(lines)).not.toMatch(/credential|hash|abc/)
    expect((await ask('POST', '/tokens/remove', { token: lines[1].record.id })).status).toBe(200)
    expect(tokens.find(secret)).toBeUndefined()
  })

  it.each([
    [{}],
    ['text'],
    [{ ...wanted, grants: [] }],
    [{ ...wanted, grants: [{ repositories: 'a', actions: [] }] }],
    [{ ...wanted, grants: [{ repositories: 'a', actions: ['rule'] }] }],
    [{ ...wanted, grants: [{ repositories: 'A', actions: ['pull'] }] }],
    [{ ...wanted, grants: Array(65).fill(wanted.grants[0]) }],
    [{ ...wanted, name: 'x'.repeat(257) }],
    [{ ...wanted, name: '' }],
    [{ ...wanted, expiresAt: 'soon' }],
    [{ ...wanted, expiresAt: 1 }],
    [{ ...wanted, expiresAt: 1e15 }],
    [{ ...wanted, kind: 'refresh' }],
    [{ ...wanted, hash: 'a'.repeat(64) }]
  ])('refuse to make %j', async body => {
    const { ask } = await control()
    const { status, lines } = await ask('POST', '/tokens', body)
    expect(status).toBe(400)
    expect(lines).toMatchObject([{ errors: [{ code: expect.any(String), message: expect.any(String) }] }])
    expect((await ask('GET', '/tokens')).lines).toEqual([])
  })
})
