import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { Authentication } from '../../src/access/authentication.ts'
import type { AuditEntry } from '../../src/access/ports.ts'
import { createControlApp } from '../../src/http/control-app.ts'
import { createDebugApp } from '../../src/http/debug-app.ts'
import { listenControl } from '../../src/http/listen-control.ts'
import { MemoryRegistry } from './memory-registry.ts'
import { memoryLog, serve } from './serve.ts'

async function control() {
  const folder = mkdtempSync(join(tmpdir(), 'pinnace-audit-control-'))
  const socketPath = join(folder, 'control.sock')
  const entries: AuditEntry[] = []
  const registry = new MemoryRegistry()
  const identity = async () => ({ peerId: '12D3', multiaddrs: [] })
  const audit = { record: (entry: AuditEntry) => void entries.push(entry) }
  const app = createControlApp({ registry, node: { version: '1', identity }, log: memoryLog(), audit })
  onTestFinished(async () => {
    await app.close()
    rmSync(folder, { recursive: true })
  })
  await listenControl(app, socketPath)
  const begin = (path: string, body: object) => {
    const headers = { 'Content-Type': 'application/json' }
    const request = http.request({ socketPath, method: 'POST', path, headers, agent: false })
    request.on('error', () => undefined)
    request.end(JSON.stringify(body))
    return request
  }
  return { registry, entries, begin }
}

const by = { subject: 'operator', from: 'control' }

it('tells of a removal whose command was killed before its answer', async () => {
  const { registry, entries, begin } = await control()
  registry.addManifest('app', Buffer.from('m'), { tags: ['v1'] })
  const begun = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const remove = registry.deleteTag.bind(registry)
  vi.spyOn(registry, 'deleteTag').mockImplementation(async (...args) => {
    begun.resolve()
    await gate.promise
    return remove(...args)
  })
  const request = begin('/rm', { repository: 'app', tag: 'v1' })
  await begun.promise
  request.destroy()
  await new Promise(resolve => request.once('close', resolve))
  gate.resolve()
  await vi.waitFor(() => expect(entries).toHaveLength(1))
  expect(entries).toEqual([
    { ...by, action: 'delete', repository: 'app', reference: 'v1', outcome: 'allowed', status: 204 }
  ])
})

it('tells of a removal by tag, and of each manifest that went with it; a plan is no entry', async () => {
  const { registry, entries, begin } = await control()
  const digest = registry.addManifest('app', Buffer.from('m'), { tags: ['v1'] })
  vi.spyOn(registry, 'removeTag').mockImplementation(async (_repository, _tag, options) => {
    options?.onManifest?.({ digest, mediaType: 'm', size: 1 })
    return { digest, manifests: 1 }
  })
  const ended = (path: string, body: object) =>
    new Promise<number | undefined>(resolve =>
      begin(path, body).once('response', response => {
        response.resume().once('end', () => resolve(response.statusCode))
      })
    )
  expect(await ended('/rm/plan', { repository: 'app', tags: ['v1'] })).toBe(200)
  expect(await ended('/rm/all/plan', { repository: 'app' })).toBe(200)
  expect(await ended('/rm/tag', { repository: 'app', tag: 'v1' })).toBe(200)
  await vi.waitFor(() => expect(entries).toHaveLength(2))
  expect(entries).toEqual([
    { ...by, action: 'delete', repository: 'app', reference: digest, outcome: 'allowed' },
    { ...by, action: 'delete', repository: 'app', reference: 'v1', outcome: 'allowed', status: 200 }
  ])
  expect(await ended('/rm/all', { repository: 'app' })).toBe(200)
  await vi.waitFor(() => expect(entries).toHaveLength(3))
  expect(entries[2]).toEqual({ ...by, action: 'delete', repository: 'app', outcome: 'allowed', status: 200 })
})

it('has what was removed from quarantine', async () => {
  const { registry, entries, begin } = await control()
  registry.aside.push({ name: 'one', size: 3, at: 5, state: 'unneeded' })
  begin('/quarantine/remove', { name: 'one' })
  await vi.waitFor(() => expect(entries).toHaveLength(1))
  expect(entries).toEqual([
    { ...by, action: 'admin', reference: '/quarantine/remove one', outcome: 'allowed', status: 204 }
  ])
})

it('tells of work that streams its progress, and whose command was killed', async () => {
  const { registry, entries, begin } = await control()
  const begun = Promise.withResolvers<void>()
  vi.spyOn(registry, 'collectGarbage').mockImplementation(
    options =>
      new Promise((_, reject) => {
        begun.resolve()
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason))
      })
  )
  const request = begin('/gc', {})
  await begun.promise
  request.destroy()
  await vi.waitFor(() => expect(entries).toHaveLength(1))
  expect(entries).toEqual([{ ...by, action: 'admin', reference: '/gc', outcome: 'allowed', status: 200 }])
})

it('tells of administration over TCP where there is none', async () => {
  const entries: AuditEntry[] = []
  const components = {
    audit: { record: (entry: AuditEntry) => void entries.push(entry) },
    control: { node: { version: '1', identity: async () => ({ peerId: '12D3', multiaddrs: [] }) } }
  }
  const node = await serve({ components })
  expect((await node.ask('/admin/v1/gc', { method: 'POST' })).status).toBe(403)
  await vi.waitFor(() => expect(entries).toHaveLength(1))
  expect(entries).toMatchObject([{ subject: 'anonymous', action: 'admin', outcome: 'denied', status: 403 }])
})

it('tells nothing of what the authority of a target in absolute form holds', async () => {
  const { entries, begin } = await control()
  begin('http://root:planted-secret@x/nothing?planted-secret', {})
  await vi.waitFor(() => expect(entries).toHaveLength(1))
  expect(entries).toEqual([{ ...by, action: 'admin', reference: '/nothing', outcome: 'failed', status: 404 }])
})

it('tells whom the metrics were refused', async () => {
  const entries: AuditEntry[] = []
  const bob = { kind: 'user', name: 'bob', groups: [] } as const
  const authentication: Authentication = { challenge: { service: 'x' }, identify: () => ({ subject: bob }) }
  const access = { authorize: () => false, authentication }
  const app = createDebugApp({ log: memoryLog(), access, audit: { record: entry => void entries.push(entry) } })
  onTestFinished(() => app.close())
  const ask = (headers: Record<string, string>) => app.inject({ path: '/metrics', headers: { host: 'x', ...headers } })
  expect((await ask({ authorization: 'Basic x' })).statusCode).toBe(403)
  expect((await app.inject('/livez')).statusCode).toBe(200)
  expect(entries).toEqual([
    { subject: 'user:bob', from: '127.0.0.1', action: 'admin', reference: '/metrics', outcome: 'denied', status: 403 }
  ])
})
