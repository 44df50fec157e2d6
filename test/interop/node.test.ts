import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type Pinnace, type PinnaceOptions, startPinnace } from './node.ts'

describe('a real node in a process of its own', () => {
  const started: Pinnace[] = []
  const start = async (options?: PinnaceOptions): Promise<Pinnace> => {
    const node = await startPinnace(options)
    started.push(node)
    return node
  }
  afterEach(async () => {
    for (const node of started.splice(0)) await node.close()
  })

  const api = (node: Pinnace, path: string, init?: RequestInit) => fetch(new URL(path, node.url), init)
  const upload = (node: Pinnace, bytes: string, digest: string) =>
    api(node, `/v2/app/blobs/uploads/?digest=${digest}`, { method: 'POST', body: bytes })
  const hello = 'sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'

  it('keeps its port, its identity and its blobs when it is stopped and when it is killed', async () => {
    const node = await start()
    const { host, pid } = node
    const identity = await node.id()
    expect(identity.multiaddrs[0]).toMatch(new RegExp(`^/ip4/127\\.0\\.0\\.1/tcp/\\d+/p2p/${identity.peerId}$`))
    expect((await upload(node, 'hello', hello)).status).toBe(201)

    expect(await node.stop()).toBe(0)
    await node.restart()
    expect(node.host).toBe(host)
    expect(node.pid).not.toBe(pid)
    expect(await (await api(node, `/v2/app/blobs/${hello}`)).text()).toBe('hello')

    await node.kill()
    await expect(api(node, '/v2/')).rejects.toThrow()
    await node.restart()
    expect(await (await api(node, `/v2/app/blobs/${hello}`)).text()).toBe('hello')
    expect((await node.id()).peerId).toBe(identity.peerId)
  })

  it('takes configuration, environment and, at a restart, changes of both', async () => {
    const node = await start({
      config: { storage: { delete: { enabled: false } } },
      env: { REGISTRY_LOG_LEVEL: 'warn' }
    })
    await upload(node, 'hello', hello)
    expect((await api(node, `/v2/app/blobs/${hello}`, { method: 'DELETE' })).status).toBe(405)
    expect(node.logs()).not.toContain('level=info')
    await node.restart({ config: { storage: { delete: { enabled: true } } }, env: { REGISTRY_LOG_LEVEL: 'info' } })
    expect((await api(node, `/v2/app/blobs/${hello}`, { method: 'DELETE' })).status).toBe(202)
    expect(node.logs()).toContain('level=info')
  })

  it('shows what the process said when it does not start, and leaves a given data folder alone', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'pinnace-given-'))
    try {
      const node = await start({ dataDir })
      // The folder has room for one; the message names who is there.
      await expect(startPinnace({ dataDir })).rejects.toThrow(new RegExp(`before it was ready[^]*\\b${node.pid}\\b`))
      await node.close()
      expect(existsSync(dataDir)).toBe(true)
    } finally {
      await rm(dataDir, { recursive: true, force: true })
    }
  })
})
