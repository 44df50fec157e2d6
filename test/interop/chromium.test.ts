/** What a web page can do to a node on the machine of whoever visits it, asked of a real browser. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { chromiumArguments } from './chromium-arguments.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { describeWithTools, requireTool } from './tools.ts'

const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

const script = Buffer.from('window.ran = true; document.title = "ran"')
const html = Buffer.from(
  `<!doctype html><title>quiet</title><p>pushed</p><script>document.title = "ran"; fetch("/v2/evil/blobs/uploads/", { method: "POST" })</script>
  <img src=x onerror="document.title = 'ran'"><form id=f method=post action="/v2/evil/blobs/uploads/"></form><script>f.submit()</script>`
)
const harmless = Buffer.from('<!doctype html><script>document.title = "ran"</script>')
const picture = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64'
)

/** What a page hands to `fetch`. */
interface PageFetch {
  method?: string
  mode?: 'no-cors'
  credentials?: 'include'
  headers?: Record<string, string>
  body?: string
}

describeWithTools(['chromium'], 'chromium', () => {
  let node: Pinnace
  let attacker: Server
  let browser: Browser
  let page: Page
  let port: string
  let elsewhere: number
  /** Method, path and status of what the node answered. */
  let answers: () => string[]
  let before: unknown

  beforeAll(async () => {
    node = await startPinnace()
    port = new URL(node.url).port
    for (const bytes of [script, html, harmless, picture]) await push(bytes)
    attacker = createServer(({ url }, response) => {
      const files: Record<string, [string, Uint8Array | string]> = {
        '/': ['text/html', '<!doctype html><title>attacker</title>'],
        '/script': ['text/javascript', script],
        '/picture': ['image/png', picture]
      }
      const [type, body] = files[url ?? ''] ?? ['text/plain', '']
      response.writeHead(200, { 'Content-Type': type }).end(body)
    })
    attacker.listen(0, '127.0.0.1')
    await once(attacker, 'listening')
    const address: AddressInfo | string | null = attacker.address()
    elsewhere = typeof address === 'object' && address !== null ? address.port : 0
    browser = await chromium.launch({
      executablePath: requireTool('chromium'),
      args: [...chromiumArguments, '--host-resolver-rules=MAP attacker.example 127.0.0.1']
    })
  })
  afterAll(async () => {
    await browser?.close()
    attacker?.close()
    await node?.close()
  })
  beforeEach(async () => {
    page = await browser.newPage()
    answers = await listenIn()
    before = await stateOf()
  })
  afterEach(async () => {
    await page.close()
    expect(await stateOf()).toEqual(before)
  })

  async function push(bytes: Uint8Array): Promise<void> {
    const url = `${node.url}/v2/app/blobs/uploads/?digest=${digestOf(bytes)}`
    const response = await fetch(url, { method: 'POST', body: new Uint8Array(bytes) })
    expect(response.status).toBe(201)
  }

  /** What goes over the wire, also of answers that the browser keeps from the page. */
  async function listenIn(): Promise<() => string[]> {
    const session = await page.context().newCDPSession(page)
    const asked = new Map<string, string>()
    const statuses: { requestId: string; statusCode: number }[] = []
    session.on('Network.requestWillBeSent', ({ requestId, request }) => {
      const url = new URL(request.url)
      if (url.port === port) asked.set(requestId, `${request.method} ${url.pathname}`)
    })
    // Either of the two may come first.
    session.on('Network.responseReceivedExtraInfo', told => void statuses.push(told))
    await session.send('Network.enable')
    return () =>
      statuses.flatMap(({ requestId, statusCode }) => {
        const request = asked.get(requestId)
        return request === undefined ? [] : [`${request} ${statusCode}`]
      })
  }

  /** What there is in the registry, sessions included. */
  async function stateOf(): Promise<unknown> {
    const files = await readdir(node.dataDir, { recursive: true, withFileTypes: true })
    return {
      catalog: await (await fetch(`${node.url}/v2/_catalog`)).text(),
      files: files
        .map(entry => join(entry.parentPath, entry.name))
        .filter(path => /\/(?:blobs|uploads)\//.test(path))
        .sort()
    }
  }

  /** A page with nothing on it and no policy of its own, as somebody's own server would send it. */
  const visit = async (origin: string) => {
    await page.route(`${origin}/page`, route =>
      route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>page</title>' })
    )
    await page.goto(`${origin}/page`)
  }

  /** `200 <text>`, `opaque` or the error's name, as the page sees it. */
  const fetchIn = (url: string, init: PageFetch = {}) =>
    page.evaluate(
      async ([target, options]) => {
        try {
          const response = await fetch(target, options)
          return response.type === 'opaque'
            ? `opaque ${await response.text()}`
            : `${response.status} ${await response.text()}`
        } catch (error) {
          return error instanceof Error ? error.name : 'error'
        }
      },
      [url, init] as const
    )

  const origins = [
    ['another host', () => `http://attacker.example:${elsewhere}`],
    ['another port of the same host', () => `http://127.0.0.1:${elsewhere}`]
  ] as const

  it.each(origins)('a page of %s reads nothing', async (_, origin) => {
    await page.goto(`${origin()}/`)
    for (const path of [
      '/v2/',
      '/v2/_catalog',
      '/v2/app/tags/list',
      `/v2/app/blobs/${digestOf(script)}`,
      '/livez',
      '/token'
    ]) {
      expect([path, await fetchIn(`${node.url}${path}`)]).toEqual([path, 'TypeError'])
      expect([path, await fetchIn(`${node.url}${path}`, { credentials: 'include' })]).toEqual([path, 'TypeError'])
      expect([path, await fetchIn(`${node.url}${path}`, { mode: 'no-cors' })]).toEqual([path, 'TypeError'])
    }
    await expect.poll(answers).toContain('GET /v2/_catalog 200')
    await expect.poll(answers).toContain('GET /token 403')
    expect(answers()).not.toContain('GET /token 200')
  })

  it.each(origins)('a page of %s changes nothing', async (_, origin) => {
    await page.goto(`${origin()}/`)
    const uploads = `${node.url}/v2/evil/blobs/uploads/`
    const post: PageFetch = { method: 'POST', mode: 'no-cors', body: 'x' }
    expect(await fetchIn(uploads, post)).toMatch(/^(?:TypeError|opaque )$/)
    expect(await fetchIn(`${uploads}?digest=${digestOf(Buffer.from('x'))}`, post)).toMatch(/^(?:TypeError|opaque )$/)
    await expect
      .poll(() => answers().filter(answer => answer.startsWith('POST')))
      .toEqual(['POST /v2/evil/blobs/uploads/ 403', 'POST /v2/evil/blobs/uploads/ 403'])
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      const headers = { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' }
      const init = { method, headers, ...(method === 'DELETE' ? {} : { body: '{}' }) }
      expect(await fetchIn(`${node.url}/v2/app/manifests/v1`, init)).toBe('TypeError')
    }
    expect(answers().filter(answer => /^(?:PUT|DELETE|PATCH)/.test(answer))).toEqual([])
  })

  it.each(origins)('a form of %s is refused', async (_, origin) => {
    await page.goto(`${origin()}/`)
    const navigated = page.waitForResponse(response => response.request().method() === 'POST')
    const action = JSON.stringify(`${node.url}/v2/evil/blobs/uploads/`)
    await page.evaluate(
      `document.body.innerHTML = '<form method=post><input name=a value=b></form>'
       document.forms[0].action = ${action}
       document.forms[0].submit()`
    )
    expect((await navigated).status()).toBe(403)
  })

  it.each(origins)('a page of %s embeds no blob', async (_, origin) => {
    await page.goto(`${origin()}/`)
    const embed = (tag: 'script' | 'img', url: string) =>
      page.evaluate<string>(
        `new Promise(resolve => {
           const element = document.createElement(${JSON.stringify(tag)})
           element.onload = () => resolve('loaded')
           element.onerror = () => resolve('refused')
           element.src = ${JSON.stringify(url)}
           document.body.append(element)
         })`
      )
    expect(await embed('img', `${node.url}/v2/app/blobs/${digestOf(picture)}`)).toBe('refused')
    expect(await embed('script', `${node.url}/v2/app/blobs/${digestOf(script)}`)).toBe('refused')
    expect(await page.title()).not.toBe('ran')
    // The same bytes from a server that wants it.
    expect(await embed('img', '/picture')).toBe('loaded')
    expect(await embed('script', '/script')).toBe('loaded')
    expect(await page.title()).toBe('ran')
  })

  it('a page whose name was bound to 127.0.0.1 meanwhile gets 421, whatever it asks and writes', async () => {
    const origin = `http://attacker.example:${port}`
    await visit(origin)
    for (const path of [
      '/',
      '/v2/',
      '/v2/_catalog',
      '/token',
      '/livez',
      '/admin/v1/version',
      `/v2/app/blobs/${digestOf(script)}`
    ])
      expect([path, await fetchIn(path)]).toEqual([path, expect.stringMatching(/^421 .*http\.hosts/)])
    const headers = { 'X-Forwarded-Host': 'localhost', 'X-Forwarded-For': '127.0.0.1', Forwarded: 'host=localhost' }
    expect(await fetchIn('/v2/_catalog', { headers })).toMatch(/^421 /)
    expect(await fetchIn('/v2/evil/blobs/uploads/', { method: 'POST', headers })).toMatch(/^421 /)
    expect(await fetchIn('/v2/app/manifests/v1', { method: 'PUT', body: '{}' })).toMatch(/^421 /)
    expect(await fetchIn('/v2/app/manifests/v1', { method: 'DELETE' })).toMatch(/^421 /)
    expect(answers().filter(answer => !answer.endsWith(' 421') && !answer.includes('/page'))).toEqual([])
  })

  it.each(['127.0.0.1', 'localhost', 'pinnace.localhost'])('a page of the node itself, as %s, may', async host => {
    await visit(`http://${host}:${port}`)
    expect(await fetchIn('/v2/_catalog')).toMatch(/^200 /)
    expect(await fetchIn(`/v2/app/blobs/${digestOf(script)}`)).toBe(`200 ${script}`)
    const status = await page.evaluate(async () => {
      const started = await fetch('/v2/app/blobs/uploads/', { method: 'POST' })
      const ended = await fetch(started.headers.get('location') ?? '', { method: 'DELETE' })
      return [started.status, ended.status]
    })
    expect(status).toEqual([202, 204])
  })

  it('a pushed page is not shown, let alone run', async () => {
    const download = page.waitForEvent('download')
    await page.goto(`${node.url}/v2/app/blobs/${digestOf(html)}`).catch(() => undefined)
    await (await download).cancel()
    expect(await page.title()).toBe('')
  })

  it('a pushed page runs nothing even where a proxy calls it text/html', async () => {
    const showAsPage = async (bytes: Uint8Array, without: string[]) => {
      const url = `${node.url}/v2/app/blobs/${digestOf(bytes)}`
      await page.route(url, async route => {
        const response = await route.fetch()
        const headers = Object.entries({ ...response.headers(), 'content-type': 'text/html' })
        await route.fulfill({
          response,
          headers: Object.fromEntries(headers.filter(([name]) => !without.includes(name)))
        })
      })
      await page.goto(url)
    }
    await showAsPage(html, ['x-content-type-options'])
    expect(await page.textContent('p')).toBe('pushed')
    expect(await page.title()).toBe('quiet')
    expect(answers().filter(answer => answer.startsWith('POST'))).toEqual([])
    // It is the policy that does it.
    await showAsPage(harmless, ['content-security-policy'])
    expect(await page.title()).toBe('ran')
  })
})
