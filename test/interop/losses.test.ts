import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { busyboxLayer, type Image, imageOf, tarOf, writeLayout } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { describeWithTools, runTool } from './tools.ts'

/** What an image loses on a disk, from the first failing pull over restarts until another client's push mends it. */
describeWithTools(['crane', 'skopeo', 'busybox', 'tar'], 'an image whose layer rotted', () => {
  let folder: string
  let metrics: string
  let node: Pinnace
  let image: Image
  let layer: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-losses-'))
    const addr = `127.0.0.1:${await freePort()}`
    metrics = `http://${addr}/metrics`
    node = await startPinnace({ config: { http: { debug: { addr, prometheus: { enabled: true } } } } })
    image = imageOf([await busyboxLayer(), tarOf({ random: randomBytes(2 << 20) })])
    layer = image.blobs.at(-1)?.descriptor.digest ?? ''
    await writeLayout(join(folder, 'layout'), { v1: image })
    await push()
  })
  afterAll(async () => {
    await node?.close()
    await rm(folder, { recursive: true, force: true })
  })

  const pull = () => runTool('crane', ['pull', `${node.host}/team/app:v1`, join(folder, 'pulled.tar')])
  const copyOut = (to: string) =>
    runTool('skopeo', [
      '--insecure-policy',
      '--tmpdir',
      folder,
      'copy',
      '--src-tls-verify=false',
      `docker://${node.host}/team/app:v1`,
      `oci:${join(folder, to)}:v1`
    ])
  const ready = async () => {
    const response = await fetch(`${node.url}/readyz`)
    return { status: response.status, body: await response.json() }
  }
  const gauge = async () => (await (await fetch(metrics)).text()).match(/^pinnace_damaged.*$/gm)
  const scrub = () => node.pinnace(['scrub'], { exitCodes: [0, 5] })
  const push = () => runTool('crane', ['push', join(folder, 'layout'), `${node.host}/team/app:v1`])
  const rot = async () => {
    await node.kill()
    const hex = layer.slice('sha256:'.length)
    const file = await open(join(node.dataDir, 'blobs', 'sha256', hex.slice(0, 2), hex), 'r+')
    await file.write(Buffer.from('rot'), 0, 3, 1000)
    await file.close()
    await node.restart()
  }

  it('is whole at first', async () => {
    expect(await ready()).toEqual({ status: 200, body: { status: 'ok' } })
    expect(await gauge()).toEqual(['pinnace_damaged{kind="blob"} 0', 'pinnace_damaged{kind="manifest"} 0'])
    expect((await scrub()).exitCode).toBe(0)
  })

  it('is damaged from the pull that met it on, in every scrub', async () => {
    await rot()
    await expect(pull()).rejects.toThrow()
    await expect.poll(gauge).toEqual(['pinnace_damaged{kind="blob"} 1', 'pinnace_damaged{kind="manifest"} 0'])
    await expect(copyOut('out')).rejects.toThrow()
    for (let round = 0; round < 2; round++) {
      const { exitCode, stdout } = await scrub()
      expect(exitCode).toBe(5)
      expect(stdout).toContain(`${layer} does not hash to its digest, found `)
      expect(stdout).toContain('  needed by team/app:v1\n  push team/app:v1 again\n')
      expect(stdout).toContain(', 1 damaged, 1 not repaired\nquarantine/ holds 1 file (')
    }
  })

  it('is so after a kill and a restart, to whoever looks', async () => {
    await node.kill()
    await node.restart()
    expect(await ready()).toMatchObject({
      status: 200,
      body: { status: 'ok', damaged: { blobs: 1, manifests: 0, advice: expect.stringContaining('pinnace scrub') } }
    })
    expect(await gauge()).toContain('pinnace_damaged{kind="blob"} 1')
    expect((await node.pinnace(['ls', 'team/app'])).stdout).toMatch(/^v1 .*\(incomplete\)$/m)
    const { stdout } = await node.pinnace(['inspect', 'team/app:v1'])
    expect(stdout).toContain('(incomplete): 1 part is lost; push the image again')
    expect((await scrub()).exitCode).toBe(5)
  })

  it('is whole when it is pushed again, by another client', async () => {
    const source = `oci:${join(folder, 'layout')}:v1`
    const flags = ['--insecure-policy', '--tmpdir', folder, 'copy', '--dest-tls-verify=false']
    await runTool('skopeo', [...flags, source, `docker://${node.host}/team/app:v1`])
    expect(await ready()).toEqual({ status: 200, body: { status: 'ok' } })
    expect(await gauge()).toEqual(['pinnace_damaged{kind="blob"} 0', 'pinnace_damaged{kind="manifest"} 0'])
    expect((await scrub()).exitCode).toBe(0)
    expect((await node.pinnace(['ls', 'team/app'])).stdout).not.toContain('(incomplete)')
    const validated = await runTool('crane', ['validate', '--remote', `${node.host}/team/app:v1`])
    expect(validated.stdout + validated.stderr).toContain('PASS')
    await copyOut('whole')
  })

  it('has its rotten bytes in quarantine, until they are removed', async () => {
    const listed = JSON.parse((await node.pinnace(['quarantine', 'ls', '--json'])).stdout)
    expect(listed).toMatchObject({ digest: layer, state: 'replaced' })
    const { stdout } = await node.pinnace(['quarantine', 'rm', '--all', '--yes'])
    expect(stdout).toMatch(/^removed 1 file \(2\.\d+ MiB\)\n$/)
    expect((await node.pinnace(['quarantine', 'ls'])).stdout).toMatch(/^NAME +SIZE +SINCE +STATE\n$/)
    expect((await scrub()).stdout).not.toContain('quarantine')
  })

  it('is mended by a client that asks for the manifest first, after what scrub says to type for it', async () => {
    await rot()
    const { exitCode, stdout } = await scrub()
    expect(exitCode).toBe(5)
    expect(stdout).toMatch(/crane, oras and regctl only after: pinnace rm REPOSITORY@DIGEST .*\n$/)
    const { digest } = JSON.parse((await node.pinnace(['inspect', 'team/app:v1', '--json'])).stdout)
    await node.pinnace(['rm', `team/app@${digest}`, '--yes'])
    await push()
    expect((await scrub()).exitCode).toBe(0)
    await pull()
  })
})

/** The debug listener does not say which port it got, so it is given one that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
