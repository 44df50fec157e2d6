import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createControlApp } from '../../src/http/control-app.ts'
import { controlProtocol, reasonHeader } from '../../src/http/control-protocol.ts'
import { listenControl } from '../../src/http/listen-control.ts'
import { MemoryRegistry } from './memory-registry.ts'
import { memoryLog } from './serve.ts'

async function control() {
  const folder = mkdtempSync(join(tmpdir(), 'pinnace-control-'))
  const socketPath = join(folder, 'control.sock')
  const registry = new MemoryRegistry()
  const identity = async () => ({ peerId: '12D3', multiaddrs: ['/ip4/127.0.0.1/tcp/4001'] })
  const app = createControlApp({ registry, node: { version: '1.2.3', identity }, log: memoryLog() })
  onTestFinished(async () => {
    await app.close()
    rmSync(folder, { recursive: true })
  })
  // A socket left by a killed process.
  writeFileSync(socketPath, '')
  await listenControl(app, socketPath)
  const ask = (method: string, path: string, body?: unknown) =>
    new Promise<{ status: number; reason: unknown; text: string; lines: unknown[] }>((resolve, reject) => {
      const headers = body === undefined ? {} : { 'Content-Type': 'application/json' }
      const request = http.request({ socketPath, method, path, headers, agent: false }, response => {
        let text = ''
        response.setEncoding('utf8').on('data', chunk => {
          text += chunk
        })
        response.on('error', reject)
        response.on('end', () => {
          const lines = text.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line)]))
          resolve({ status: response.statusCode ?? 0, reason: response.headers[reasonHeader], text, lines })
        })
      })
      request.on('error', reject)
      request.end(body === undefined ? undefined : JSON.stringify(body))
    })
  return { registry, ask, socketPath, app }
}

describe('files that were put aside', () => {
  it('are listed and removed by name', async () => {
    const { ask, registry } = await control()
    const file = { name: 'sha256-ab.12345678', size: 3, at: 5, state: 'unneeded' } as const
    registry.aside.push(file)
    expect((await ask('GET', '/quarantine')).lines).toEqual([{ file }])
    expect(await ask('POST', '/quarantine/remove', { name: 'other' })).toMatchObject({
      status: 404,
      reason: 'NOT_FOUND'
    })
    expect((await ask('POST', '/quarantine/remove', {})).status).toBe(400)
    expect(await ask('POST', '/quarantine/remove', { name: file.name })).toMatchObject({ status: 204, text: '' })
    expect((await ask('GET', '/quarantine')).lines).toEqual([])
  })
})

describe('the control door', () => {
  it('is a socket that only its owner opens, gone after the close', async () => {
    const { socketPath, app } = await control()
    expect(statSync(socketPath).mode & 0o777).toBe(0o600)
    await app.close()
    expect(() => statSync(socketPath)).toThrow()
  })

  it('refuses a path that no socket can have', async () => {
    const { app } = await control()
    await expect(listenControl(app, `/${'x'.repeat(120)}`)).rejects.toThrow(TypeError)
  })

  it('tells version and identity', async () => {
    const { ask } = await control()
    expect((await ask('GET', '/version')).lines).toEqual([{ version: '1.2.3', protocol: controlProtocol }])
    expect((await ask('GET', '/id')).lines).toEqual([{ peerId: '12D3', multiaddrs: ['/ip4/127.0.0.1/tcp/4001'] }])
  })

  it('lists every repository and every tag, page after page', async () => {
    const { ask, registry } = await control()
    const names = Array.from({ length: 2500 }, (_, at) => `r${String(at).padStart(5, '0')}`)
    for (const name of names) registry.addManifest(name, Buffer.from(name), { tags: ['v1', 'v2'] })
    expect((await ask('GET', '/ls')).lines).toEqual(names.map(repository => ({ repository })))
    expect((await ask('GET', '/ls?repository=r00007')).lines).toEqual([{ tag: 'v1' }, { tag: 'v2' }])
    expect(await ask('GET', '/ls?repository=nothing')).toMatchObject({ status: 404, reason: 'NAME_UNKNOWN' })
    expect(await ask('GET', '/ls?repository=NO')).toMatchObject({ status: 400, reason: 'NAME_INVALID' })
  })

  it('inspects and removes by tag and digest', async () => {
    const { ask, registry } = await control()
    const digest = registry.addManifest('app', Buffer.from('m'), { tags: ['v1'] })
    expect((await ask('POST', '/inspect', { repository: 'app', tag: 'v1' })).lines).toMatchObject([{ digest }])
    expect((await ask('POST', '/inspect', { repository: 'app', digest })).lines).toMatchObject([{ digest }])
    expect(await ask('POST', '/rm', { repository: 'app', tag: 'v1' })).toMatchObject({ status: 204, text: '' })
    expect(await ask('POST', '/rm', { repository: 'app', tag: 'v1' })).toMatchObject({
      status: 404,
      reason: 'MANIFEST_UNKNOWN'
    })
    expect((await ask('POST', '/rm', { repository: 'app', digest })).status).toBe(204)
  })

  it.each([
    [{}],
    [{ repository: 'app' }],
    [{ repository: 'app', tag: '.x' }],
    [{ repository: 'app', tag: 'x', digest: 'y' }],
    [{ repository: 'app', digest: 'sha256:x' }],
    ['text']
  ])('refuses %j', async body => {
    const { ask } = await control()
    const answer = await ask('POST', '/inspect', body)
    expect(answer.status).toBe(400)
    expect(answer.lines).toMatchObject([{ errors: [{ code: expect.any(String) }] }])
  })

  it('streams progress and result, or the error as the last line', async () => {
    const { ask, registry } = await control()
    const gc = await ask('POST', '/gc', { dryRun: true })
    expect(gc.lines).toEqual([
      { progress: expect.objectContaining({ dryRun: true }) },
      { result: expect.objectContaining({ dryRun: true, blobs: 1 }) }
    ])
    expect((await ask('POST', '/scrub', { repair: true })).lines).toMatchObject([{ result: { damages: 0 } }])
    registry.failure = new Error('disk on fire')
    const scrub = await ask('POST', '/scrub', {})
    expect(scrub.lines).toEqual([
      { error: { reason: 'UNKNOWN', errors: [{ code: 'UNKNOWN', message: 'unknown error' }] } }
    ])
  })
})
