import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { type Pinnace, startPinnace } from '../interop/node.ts'
import { runProgram } from '../interop/run.ts'
import { describeWithTools } from '../interop/tools.ts'

const mib = 1024 * 1024

async function startUpload(node: Pinnace): Promise<URL> {
  const response = await fetch(`${node.url}/v2/disk/a/blobs/uploads/`, { method: 'POST' })
  expect(response.status).toBe(202)
  return new URL(response.headers.get('location') ?? '', node.url)
}

async function push(node: Pinnace, bytes: Buffer): Promise<Response> {
  const url = await startUpload(node)
  url.searchParams.set('digest', digestOf(bytes))
  return fetch(url, { method: 'PUT', body: new Uint8Array(bytes) })
}

describe('the data folder', () => {
  test('takes at most 1.02 of the bytes pushed', async () => {
    const node = await startPinnace()
    try {
      let pushed = 0
      for (const size of [1, 2, 3, 5, 8, 13, 21].map(count => count * mib + 1)) {
        expect((await push(node, randomBytes(size))).status).toBe(201)
        pushed += size
      }
      const { stdout } = await runProgram('/usr/bin/du', ['-s', '--block-size=1', node.dataDir])
      expect(Number(stdout.split('\t')[0])).toBeLessThanOrEqual(1.02 * pushed)
    } finally {
      await node.close()
    }
  })
})

describeWithTools(['mount', 'umount'], 'a full disk', () => {
  let folder: string
  let node: Pinnace

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-full-'))
    await runProgram('/bin/mount', ['-t', 'tmpfs', '-o', 'size=48m', 'pinnace', folder])
    node = await startPinnace({ dataDir: join(folder, 'data') })
  })
  afterAll(async () => {
    await node?.close()
    await runProgram('/bin/umount', [folder])
    await rm(folder, { recursive: true, force: true })
  })

  test('is 507 in the OCI form, keeps the session and what is there, and heals when space is back', async () => {
    const small = randomBytes(3 * mib)
    expect((await push(node, small)).status).toBe(201)
    const big = randomBytes(80 * mib)
    const url = await startUpload(node)
    // Without a length, which would be refused before a byte of it is read.
    const refused = await fetch(url, {
      method: 'PATCH',
      body: new Blob([new Uint8Array(big)]).stream(),
      duplex: 'half',
      headers: { 'Content-Type': 'application/octet-stream' }
    })
    expect(refused.status).toBe(507)
    expect(await refused.json()).toMatchObject({
      errors: [{ code: 'UNAVAILABLE', message: expect.stringContaining('space') }]
    })

    const pulled = await fetch(`${node.url}/v2/disk/a/blobs/${digestOf(small)}`)
    expect(Buffer.from(await pulled.arrayBuffer()).equals(small)).toBe(true)
    const manifest = await fetch(`${node.url}/v2/disk/a/manifests/x`, {
      method: 'PUT',
      body: '{}',
      headers: { 'Content-Type': 'application/json' }
    })
    expect([201, 507]).toContain(manifest.status)

    await runProgram('/bin/mount', ['-o', 'remount,size=256m', folder])
    const status = await fetch(url)
    expect(status.status).toBe(204)
    const offset = Number(/^0-(\d+)$/.exec(status.headers.get('range') ?? '')?.[1]) + 1
    expect(offset).toBeGreaterThan(mib)
    url.searchParams.set('digest', digestOf(big))
    const rest = await fetch(url, {
      method: 'PUT',
      body: new Uint8Array(big.subarray(offset)),
      headers: { 'Content-Range': `${offset}-${big.length - 1}` }
    })
    expect(rest.status).toBe(201)
    const whole = await fetch(`${node.url}/v2/disk/a/blobs/${digestOf(big)}`)
    expect(digestOf(Buffer.from(await whole.arrayBuffer()))).toBe(digestOf(big))
    expect((await node.pinnace(['scrub', '--json'])).exitCode).toBe(0)
  })
})
