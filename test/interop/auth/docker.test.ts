import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Dockerd, startDockerd } from '../dockerd.ts'
import { describeWithTools } from '../tools.ts'
import { docker, dockerOnContainerd } from './engine-clients.ts'
import { type Guarded, passwords, startGuarded } from './guarded.ts'
import { describeAuthentication } from './scenarios.ts'

for (const init of [docker, dockerOnContainerd]) describeAuthentication(init)

describeWithTools([...dockerOnContainerd.tools, 'busybox', 'tar'], `${dockerOnContainerd.name}, by digest`, () => {
  let config: string
  let engine: Dockerd
  let guarded: Guarded
  let name: string
  let digest: string

  const run = async (args: string[], input?: string): Promise<string> =>
    (await engine.docker(args, { env: { DOCKER_CONFIG: config }, ...(input !== undefined && { input }) })).stdout
  const digestIn = (text: string): string => {
    const found = /digest: (sha256:[0-9a-f]{64})/i.exec(text)?.[1]
    if (found === undefined) throw new Error(`no digest in: ${text}`)
    return found
  }
  /** Removes every image, so that nothing but the registry can supply it. */
  const forget = async (): Promise<void> => {
    const ids = (await run(['images', '--all', '--quiet'])).split('\n').filter(id => id !== '')
    if (ids.length > 0) await run(['rmi', '--force', ...new Set(ids)])
    expect(await run(['images', '--quiet'])).toBe('')
  }

  beforeAll(async () => {
    config = await mkdtemp(join(tmpdir(), 'pinnace-auth-digest-'))
    ;[engine, guarded] = await Promise.all([startDockerd({ imageStore: 'containerd' }), startGuarded()])
    name = `${guarded.host}/team/app`
    await engine.importBusybox(`${name}:v1`)
    await run(['login', '-u', 'alice', '--password-stdin', guarded.host], passwords.alice)
    digest = digestIn(await run(['push', `${name}:v1`]))
    await forget()
  })
  afterAll(async () => {
    await engine?.close()
    await guarded?.close()
    await rm(config, { recursive: true, force: true })
  })

  it('pulls after a login, and pushes the same digest to a public repository', async () => {
    expect(digestIn(await run(['pull', `${name}@${digest}`]))).toBe(digest)
    await run(['tag', `${name}@${digest}`, `${guarded.host}/public/app:v1`])
    expect(digestIn(await run(['push', `${guarded.host}/public/app:v1`]))).toBe(digest)
  })

  it('pulls after the logout where anonymous may, and nothing else', async () => {
    await run(['logout', guarded.host])
    await forget()
    expect(digestIn(await run(['pull', `${guarded.host}/public/app@${digest}`]))).toBe(digest)
    await forget()
    await expect(run(['pull', `${name}@${digest}`])).rejects.toThrow(/pull access denied|unauthorized|login prior to/i)
    expect(await run(['images', '--quiet'])).toBe('')
  })
})
