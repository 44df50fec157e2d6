import { once } from 'node:events'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { type ClientRequest, request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run, serve, start, stop, temporaryFolder } from './command.ts'
import { pushImage } from './push.ts'

/** A push whose body has begun and goes on until the test ends it. */
async function openPush(url: string): Promise<{ sent: ClientRequest; status: Promise<number | undefined> }> {
  const opened = await fetch(`${url}/v2/app/blobs/uploads/`, { method: 'POST' })
  const target = new URL(opened.headers.get('location') ?? '', url)
  const headers = { 'Content-Type': 'application/octet-stream', Expect: '100-continue' }
  const sent = request(target, { method: 'PATCH', headers })
  const status = new Promise<number | undefined>(settle => {
    sent.once('response', response => settle(response.resume().statusCode))
    sent.once('error', () => settle(undefined))
  })
  sent.flushHeaders()
  // The node says so when it is about to read the body.
  await once(sent, 'continue')
  sent.write(Buffer.alloc(70_000))
  return { sent, status }
}

describe('serve', () => {
  it('says where it listens, how to push, where the data is and who it is', async () => {
    const data = await temporaryFolder()
    const node = await serve(data)
    const [, peerId] = await node.until(/Peer ID {4}(12D3Koo\w+)\n/)
    await node.until(new RegExp(`Multiaddr {2}/ip4/127.0.0.1/tcp/\\d+/p2p/${peerId}\n`))
    expect(node.stdout()).toContain(`Data       ${data}\n`)
    expect(node.stdout()).toContain(`docker push localhost:${new URL(node.url).port}/`)
    expect((await stat(join(data, 'control.sock'))).mode & 0o777).toBe(0o600)
    expect((await fetch(`${node.url}/v2/`)).status).toBe(200)
    expect((await run(['health'], { REGISTRY_HTTP_ADDR: new URL(node.url).host })).stdout).toBe('ready\n')
    expect(await stop(node)).toBe(0)
    expect(node.stderr()).toBe('')
  })

  it('is the same peer at the second start, also with what was pushed', async () => {
    const data = await temporaryFolder()
    const first = await serve(data)
    const [, before] = await first.until(/Peer ID {4}(\S+)\n/)
    const { digest } = await pushImage(first.url, 'app', 'v1')
    expect(await stop(first)).toBe(0)
    const second = await serve(data)
    const [, after] = await second.until(/Peer ID {4}(\S+)\n/)
    expect(after).toBe(before)
    const head = await fetch(`${second.url}/v2/app/manifests/v1`, { method: 'HEAD' })
    expect(head.headers.get('docker-content-digest')).toBe(digest)
  })

  it('refuses a folder that another process has, naming it, and takes it after that was killed', async () => {
    const data = await temporaryFolder()
    const first = await serve(data)
    const second = await run(['serve', '--data', data])
    expect(second.code).toBe(4)
    expect(second.stderr).toMatch(
      new RegExp(
        `^pinnace: the data folder ${data} is in use by process ${first.child.pid} \\(pinnace serve, since 2.*Z\\): stop it first, .*\n$`
      )
    )
    first.child.kill('SIGKILL')
    await first.ended
    const third = await serve(data)
    expect(await stop(third)).toBe(0)
  })

  it('lets a request under way finish after the first signal', async () => {
    const node = await serve(await temporaryFolder())
    const { sent, status } = await openPush(node.url)
    node.child.kill('SIGTERM')
    await node.until(/Stopping/)
    sent.end()
    expect(await status).toBe(202)
    expect(await node.ended).toBe(0)
  })

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130]
  ] as const)('ends at once by a second %s', async (signal, code) => {
    const node = await serve(await temporaryFolder())
    const { sent, status } = await openPush(node.url)
    node.child.kill(signal)
    await node.until(/Stopping/)
    node.child.kill(signal)
    expect(await node.ended).toBe(code)
    expect(await status).toBeUndefined()
    sent.destroy()
  })

  it('cuts what is not finished within http.draintimeout', async () => {
    const node = await serve(await temporaryFolder(), { REGISTRY_HTTP_DRAINTIMEOUT: '300ms' })
    const { sent, status } = await openPush(node.url)
    expect(await stop(node)).toBe(0)
    expect(await status).toBeUndefined()
    expect(node.stdout()).toMatch(/http\.draintimeout is over/)
    sent.destroy()
  })
})

describe('a start that cannot be', () => {
  it('names address and key when the port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = typeof address === 'object' ? address?.port : undefined
    for (const key of ['HTTP_ADDR', 'HTTP_DEBUG_ADDR']) {
      const env = { [`REGISTRY_${key}`]: `127.0.0.1:${port}` }
      const { code, stderr } = await run(['serve', '--data', await temporaryFolder()], env)
      expect({ key, code }).toEqual({ key, code: 1 })
      const dotted = key.toLowerCase().replaceAll('_', '.')
      expect(stderr).toBe(
        `pinnace: cannot listen on 127.0.0.1:${port}: another program has it; stop that, or choose another address with ${dotted} or REGISTRY_${key}\n`
      )
    }
    other.close()
  })

  it('names the key when the IPFS address is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = typeof address === 'object' ? address?.port : undefined
    const env = { REGISTRY_IPFS_LISTEN: `[/ip4/127.0.0.1/tcp/${port}]` }
    const { code, stderr } = await run(['serve', '--data', await temporaryFolder()], env)
    expect(code).toBe(1)
    expect(stderr).toBe(
      `pinnace: IPFS cannot listen on 127.0.0.1:${port}: another program has it; stop that, or choose another address with ipfs.listen or REGISTRY_IPFS_LISTEN\n`
    )
    other.close()
  })

  it('lists every problem of the configuration, each with its line', async () => {
    const folder = await temporaryFolder()
    const file = join(folder, 'c.yml')
    await writeFile(file, 'version: 0.1\nlog: {level: loud}\nhttp:\n  adr: :1\n')
    const { code, stdout, stderr } = await run(['serve', file, '--data', folder])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr.split('\n')).toHaveLength(4)
    expect(stderr).toMatch(/2 problems:\n {2}.*c\.yml:2: .*\n {2}.*c\.yml:4: .*\n$/)
  })

  it('says so when two configuration files are given, or one that is not there', async () => {
    expect(await run(['serve', 'a.yml', '--config', 'b.yml'])).toMatchObject({ code: 2 })
    const { code, stderr } = await run(['serve', '/nonexistent/c.yml'])
    expect(code).toBe(2)
    expect(stderr).toMatch(/^pinnace: \/nonexistent\/c\.yml: cannot read the file: .*\n$/)
  })
})

describe('a data folder whose path is too long for a socket', () => {
  it('is served and asked all the same', async () => {
    const folder = await temporaryFolder()
    const data = join(folder, 'd'.repeat(60), 'e'.repeat(60))
    const node = await serve(data, { XDG_RUNTIME_DIR: folder })
    const [, peerId] = await node.until(/Peer ID {4}(\S+)\n/)
    expect((await run(['id', '--data', data])).stdout).toContain(`/p2p/${peerId}\n`)
    await expect(stat(join(data, 'control.sock'))).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await stop(node)).toBe(0)
  })
})

describe('the log', () => {
  it('as JSON is all that stands on standard output, with the facts, and without credentials', async () => {
    const node = start(['serve', '--data', await temporaryFolder()], {
      REGISTRY_LOG_FORMATTER: 'json',
      REGISTRY_LOG_FIELDS: '{service: registry}'
    })
    const [line] = await node.until(/.*"msg":"listening".*\n/)
    const { addresses, ...record } = JSON.parse(line)
    expect(record).toMatchObject({ level: 'info', service: 'registry', time: expect.stringMatching(/^2\d{3}-.*Z$/) })
    await node.until(/"msg":"reachable by IPFS"/)
    await fetch(`${addresses[0]}/v2/`, { headers: { Authorization: 'Basic aHVudGVyMg==', Cookie: 'hunter2' } })
    await node.until(/"msg":"request"/)
    expect(await stop(node)).toBe(0)
    for (const text of node.stdout().trimEnd().split('\n')) expect(JSON.parse(text)).toHaveProperty('level')
    expect(node.stdout()).not.toMatch(/aHVudGVyMg|hunter2/)
  })

  it('as logstash has its names', async () => {
    const node = start(['serve', '--data', await temporaryFolder()], { REGISTRY_LOG_FORMATTER: 'logstash' })
    const [line] = await node.until(/.*"message":"listening".*\n/)
    expect(JSON.parse(line)).toMatchObject({
      '@version': '1',
      level: 'info',
      '@timestamp': expect.stringMatching(/Z$/)
    })
    expect(await stop(node)).toBe(0)
  })

  it('outlives its reader, and so does the node', async () => {
    const node = await serve(await temporaryFolder())
    await node.until(/Multiaddr/)
    node.child.stdout?.destroy()
    for (let round = 0; round < 3; round++) expect((await fetch(`${node.url}/v2/`)).status).toBe(200)
    node.child.kill('SIGTERM')
    expect(await node.ended).toBe(0)
  })
})

it('gives the pool of threads a size that takes effect', async () => {
  const node = await serve(await temporaryFolder())
  await Promise.all(
    Array.from({ length: 24 }, (_, letter) => pushImage(node.url, 'app', `v${letter}`, String(letter), 100_000))
  )
  const tasks = process.platform === 'linux' ? await threadNames(node.child.pid) : []
  if (process.platform === 'linux') expect(tasks.filter(name => name === 'libuv-worker')).toHaveLength(16)
})

async function threadNames(pid: number | undefined): Promise<string[]> {
  const tasks = await readdir(`/proc/${pid}/task`)
  return Promise.all(tasks.map(async task => (await readFile(`/proc/${pid}/task/${task}/comm`, 'utf8')).trim()))
}
