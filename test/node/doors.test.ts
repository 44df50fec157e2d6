/** That a node as configured wires its doors: the admin API, metrics, immutable tags, and what is closed where nobody signs in. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hash } from '@node-rs/bcrypt'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { controlProtocol } from '../../src/http/control-protocol.ts'
import type { ServedNode } from '../../src/node/serve.ts'
import { serveNode } from '../../src/node.ts'
import { basic } from '../access/authenticated.ts'
import { loadText } from '../config/fixture.ts'
import { memoryLog } from '../http/serve.ts'

let folder: string
let node: ServedNode | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pinnace-doors-'))
})
afterEach(async () => {
  await node?.close()
  node = undefined
  await rm(folder, { recursive: true })
})

async function serve(http: string, text = ''): Promise<string> {
  const data = `storage: {filesystem: {rootdirectory: ${join(folder, 'data')}}, delete: {enabled: true}}`
  const { config } = await loadText(`version: 0.1\n${data}\nhttp: {${http}}\nipfs: {listen: []}\n${text}\n`)
  node = await serveNode(config, { log: memoryLog(), version: '1.2.3' })
  const url = new URL(node.addresses[0] ?? '')
  return `http://127.0.0.1:${url.port}`
}

async function ask(url: string, init: RequestInit & { user?: string } = {}) {
  const { user, ...rest } = init
  const headers = new Headers(rest.headers)
  if (user !== undefined) headers.set('Authorization', basic(user, 'secret'))
  const response = await fetch(url, { ...rest, headers })
  return { status: response.status, challenge: response.headers.get('www-authenticate'), text: await response.text() }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : expect.fail('no port')
}

const manifest = (note: string) =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [],
    annotations: { note }
  })

it('with users: the admin API and metrics are for admin, immutable tags stay', async () => {
  const passwords = join(folder, 'htpasswd')
  const lines = await Promise.all(['root', 'alice'].map(async name => `${name}:${await hash('secret', 4)}\n`))
  await writeFile(passwords, lines.join(''))
  const port = await freePort()
  const url = await serve(
    `addr: "127.0.0.1:0", debug: {addr: "0.0.0.0:${port}", prometheus: {enabled: true}}`,
    `auth: {htpasswd: {path: ${passwords}}}
access:
  - {subject: user, repositories: "**", actions: [pull, push]}
  - {subject: user:root, repositories: "**", actions: [admin]}
immutable: [{repositories: "**", tags: "v*"}]`
  )
  for (const path of [`${url}/admin/v1/version`, `http://127.0.0.1:${port}/metrics`]) {
    const refused = await ask(path)
    expect(refused.status).toBe(401)
    expect(refused.challenge).toMatch(/^(?:Bearer|Basic) /)
    expect((await ask(path, { user: 'alice' })).status).toBe(403)
    expect((await ask(path, { user: 'root' })).status).toBe(200)
  }
  const version: unknown = JSON.parse((await ask(`${url}/admin/v1/version`, { user: 'root' })).text)
  expect(version).toEqual({ version: '1.2.3', protocol: controlProtocol })

  const put = (note: string) =>
    ask(`${url}/v2/team/app/manifests/v1`, {
      user: 'root',
      method: 'PUT',
      headers: { 'Content-Type': 'application/vnd.oci.image.index.v1+json' },
      body: manifest(note)
    })
  expect([(await put('one')).status, (await put('one')).status, (await put('two')).status]).toEqual([201, 201, 403])
})

it('without users, reached by others: push and pull only, and the refusal says what to set', async () => {
  const url = await serve('addr: "0.0.0.0:0"')
  const path = `${url}/v2/team/app/manifests/v1`
  const headers = { 'Content-Type': 'application/vnd.oci.image.index.v1+json' }
  expect((await ask(path, { method: 'PUT', headers, body: manifest('one') })).status).toBe(201)
  expect((await ask(path)).status).toBe(200)
  const refused = await ask(path, { method: 'DELETE' })
  expect(refused).toMatchObject({ status: 403, challenge: null })
  expect(refused.text).toContain('access: open')
  for (const user of [{}, { user: 'root' }]) expect((await ask(`${url}/admin/v1/version`, user)).status).toBe(403)
  expect((await ask(path)).status).toBe(200)
})

it('without users, on loopback: everything, but no admin API', async () => {
  const url = await serve('addr: "127.0.0.1:0"')
  expect((await ask(`${url}/v2/`)).status).toBe(200)
  expect((await ask(`${url}/v2/a/manifests/v1`, { method: 'DELETE' })).status).toBe(404)
  expect((await ask(`${url}/admin/v1/version`)).status).toBe(403)
})
