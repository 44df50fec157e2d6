/** The audit log of a real node: whole lines whatever happens, and no secret ever. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { type Pinnace, startPinnace } from '../interop/node.ts'

let folder: string
let path: string
let node: Pinnace | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pinnace-audit-'))
  path = join(folder, 'audit.jsonl')
})
afterEach(async () => {
  await node?.close()
  await rm(folder, { recursive: true, force: true })
})

const push = async (bytes: Buffer, repository = 'team/app') => {
  const target = `/v2/${repository}/blobs/uploads/?digest=${digestOf(bytes)}`
  const response = await fetch(new URL(target, node?.url), { method: 'POST', body: new Uint8Array(bytes) })
  return response.status
}

/** Lines of all files, oldest first; the last may be torn. */
async function lines(): Promise<string[]> {
  const names = (await readdir(folder)).filter(name => name.startsWith('audit.jsonl'))
  const numbered = names.map(name => Number(name.slice('audit.jsonl.'.length)))
  const texts: string[] = []
  for (const count of numbered.sort((a, b) => b - a))
    texts.push(await readFile(count === 0 ? path : `${path}.${count}`, 'utf8'))
  return texts.join('').split('\n').slice(0, -1)
}

const parsed = async (): Promise<Record<string, unknown>[]> => (await lines()).map(line => JSON.parse(line))

it('has every push of many at once, over rotations, and all but a torn line after SIGKILL', async () => {
  node = await startPinnace({ config: { log: { audit: { path, size: '64KiB', files: 100 } } } })
  const running = node
  const acknowledged = new Set<string>()
  let killed = false
  const pusher = async () => {
    while (!killed) {
      const bytes = randomBytes(40)
      if ((await push(bytes).catch(() => 0)) === 201) acknowledged.add(digestOf(bytes))
    }
  }
  const pushers = Array.from({ length: 16 }, pusher)
  await vi.waitFor(() => expect(acknowledged.size).toBeGreaterThan(1500), { timeout: 60_000, interval: 50 })
  const before = new Set(acknowledged)
  await running.kill()
  killed = true
  await Promise.all(pushers)

  const whole = await lines()
  const entries = whole.map(line => JSON.parse(line))
  expect((await readdir(folder)).length).toBeGreaterThan(3)
  expect(entries[0]).toMatchObject({ subject: 'operator', action: 'start', outcome: 'allowed' })
  const told = new Set(entries.filter(entry => entry.outcome === 'allowed').map(entry => entry.reference))
  // What was answered a moment before the end may not have been handed over.
  const missing = [...before].slice(0, -64).filter(digest => !told.has(digest))
  expect(missing).toEqual([])
  expect((await stat(path)).mode & 0o777).toBe(0o600)

  await running.restart()
  expect(await push(randomBytes(40))).toBe(201)
  await running.stop()
  const last = (await parsed()).slice(-3)
  expect(last.map(entry => entry.action)).toEqual(['start', 'push', 'stop'])
}, 120_000)

it('has what the command line does, beside the node and without it', async () => {
  node = await startPinnace({ config: { log: { audit: { path } } } })
  const empty = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: []
  })
  for (const tag of ['v1', 'v2']) {
    const headers = { 'Content-Type': 'application/vnd.oci.image.index.v1+json' }
    const response = await fetch(`${node.url}/v2/team/app/manifests/${tag}`, { method: 'PUT', body: empty, headers })
    expect(response.status).toBe(201)
  }
  await node.pinnace(['gc'])
  await node.pinnace(['rm', 'team/app:v1', '--yes'])
  const token = await node.pinnace(['token', 'create', '--name', 'ci', '--repo', 'team/**', '--actions', 'pull'])
  await node.pinnace(['ls'])
  await node.stop()
  const env = { REGISTRY_LOG_AUDIT_PATH: path }
  await node.pinnace(['rm', 'team/app:v2', '--yes'], { env })
  await node.pinnace(['token', 'rm', 'ci'], { env })
  const entries = (await parsed()).map(({ subject, action, repository, reference, outcome, from }) =>
    [subject, action, repository, reference, outcome, from].map(part => part ?? '-').join(' ')
  )
  const version = (await parsed())[0]?.reference
  expect(entries).toEqual([
    `operator start - ${version} allowed -`,
    'anonymous push team/app v1 allowed 127.0.0.1',
    'anonymous push team/app v2 allowed 127.0.0.1',
    'operator admin - /gc allowed control',
    'operator delete team/app v1 allowed control',
    'operator token - ci allowed control',
    `operator stop - ${version} allowed -`,
    `operator delete team/app ${digestOf(Buffer.from(empty))} allowed -`,
    'operator delete team/app v2 allowed -',
    'operator token - ci allowed -'
  ])
  expect(await readFile(path, 'utf8')).not.toContain(token.stdout.trim())
}, 60_000)

it('keeps the node from starting when it cannot be written', async () => {
  await expect(startPinnace({ config: { log: { audit: { path: folder } } } })).rejects.toThrow(
    /log\.audit\.path: cannot write .* \(EISDIR\)/
  )
}, 60_000)
