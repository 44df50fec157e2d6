/** DNS rebinding with a real browser and a real change of mind of a real name server. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { chromiumArguments } from './chromium-arguments.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { describeWithTools, requireTool } from './tools.ts'

/** Loopback addresses of their own, so that neither is in anybody's way. */
const nameServer = '127.53.7.1'
const elsewhere = '127.53.7.2'

/** Answers every question for an A record with one address, good for a second (RFC 1035, section 4). */
class NameServer {
  address = elsewhere
  asked = 0
  readonly #socket: Socket = createSocket('udp4')

  async listen(): Promise<void> {
    this.#socket.on('message', (question, from) => this.#answer(question, from))
    this.#socket.bind(53, nameServer)
    await once(this.#socket, 'listening')
  }

  close(): void {
    this.#socket.close()
  }

  #answer(question: Buffer, { port, address }: RemoteInfo): void {
    const end = question.indexOf(0, 12) + 5
    const isA = question.readUInt16BE(end - 4) === 1
    const header = Buffer.from(question.subarray(0, 12))
    // A response without recursion denied, one question, an answer or none, nothing else.
    header.writeUInt16BE(0x8580, 2)
    header.writeUInt16BE(isA ? 1 : 0, 6)
    header.writeUInt32BE(0, 8)
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...this.address.split('.').map(Number)])
    if (isA) this.asked++
    const answer = Buffer.concat([header, question.subarray(12, end), ...(isA ? [record] : [])])
    this.#socket.send(answer, port, address)
  }
}

describeWithTools(['chromium', 'mount'], 'DNS rebinding in chromium', () => {
  const dns = new NameServer()
  let folder: string
  let node: Pinnace
  let attacker: Server
  let browser: Browser
  let page: Page
  let origin: string

  beforeAll(async () => {
    await dns.listen()
    node = await startPinnace()
    const port = Number(new URL(node.url).port)
    origin = `http://attacker.example:${port}`
    attacker = createServer((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/html', Connection: 'close' })
      response.end('<!doctype html><title>attacker</title>')
    })
    attacker.listen(port, elsewhere)
    await once(attacker, 'listening')
    folder = await mkdtemp(join(tmpdir(), 'pinnace-rebinding-'))
    await writeFile(join(folder, 'resolv.conf'), `nameserver ${nameServer}\n`)
    const start = join(folder, 'chromium')
    // The machine's own name servers stay what they are for everybody else.
    const inside = `mount --bind ${join(folder, 'resolv.conf')} /etc/resolv.conf && exec ${requireTool('chromium')} "$@"`
    await writeFile(start, `#!/bin/sh\nexec unshare --mount sh -c '${inside}' chromium "$@"\n`)
    await chmod(start, 0o755)
    browser = await chromium.launch({
      executablePath: start,
      args: [...chromiumArguments, '--no-proxy-server', '--enable-features=AsyncDns']
    })
    page = await (await browser.newContext()).newPage()
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    attacker?.close()
    await node?.close()
    dns.close()
    if (folder !== undefined) await rm(folder, { recursive: true })
  })

  const ask = (path: string, method = 'GET') =>
    page.evaluate(
      async ([target, how]) => {
        try {
          const response = await fetch(target ?? '', { method: how, cache: 'no-store' })
          return `${response.status} ${response.headers.get('docker-distribution-api-version') ?? 'elsewhere'} ${await response.text()}`
        } catch (error) {
          return String(error)
        }
      },
      [path, method] as const
    )

  /** Chromium keeps an address for a minute at least; nobody waits for that here. */
  const forgetNames = async () => {
    const settings = await page.context().newPage()
    await settings.goto('chrome://net-internals/#dns')
    await settings.click('#dns-view-clear-cache')
    await settings.close()
  }

  it('lets a page reach the node by its own name, and the node answers it nothing', async () => {
    await page.goto(`${origin}/`)
    expect(await page.title()).toBe('attacker')
    expect(await ask('/v2/_catalog')).toMatch(/^200 elsewhere /)
    const before = dns.asked
    dns.address = '127.0.0.1'
    attacker.close()
    attacker.closeAllConnections()
    await forgetNames()
    // The same page, the same origin, the same fetch: what changed is where the name leads.
    await expect.poll(() => ask('/v2/_catalog'), { timeout: 90_000, interval: 500 }).toMatch(/ registry\/2\.0 /)
    expect(dns.asked).toBeGreaterThan(before)
    expect(await ask('/v2/_catalog')).toMatch(/^421 registry\/2\.0 .*attacker\.example.*http\.hosts/)
    for (const path of ['/v2/', '/token', '/admin/v1/version', '/livez']) expect(await ask(path)).toMatch(/^421 /)
    expect(await ask('/v2/evil/blobs/uploads/', 'POST')).toMatch(/^421 /)
    expect((await fetch(`${node.url}/v2/_catalog`)).status).toBe(200)
  }, 120_000)
})
