/** What real clients make of a quota: they say so, with the node’s own words where they show any, and do not send everything again. */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Dockerd, startDockerd } from './dockerd.ts'
import { imageOf, tarOf, writeLayout } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { describeWithTools, runTool, type ToolName } from './tools.ts'

const KiB = 1024
const layerSize = 3000 * KiB

let folder: string
let node: Pinnace
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pinnace-quotas-test-'))
  await writeLayout(join(folder, 'layout'), { v1: imageOf([tarOf({ random: randomBytes(layerSize) })]) })
  node = await startPinnace({
    config: {
      quotas: [
        { repositories: ['full/*'], size: '1MiB' },
        { repositories: ['large/*'], blob: '1MiB' }
      ]
    }
  })
}, 120_000)
afterAll(async () => {
  await node?.close()
  await rm(folder, { recursive: true, force: true })
})

/** Bodies of layers that were refused: `[requests, bytes taken of them]`. */
function refused(repository: string): { requests: number; received: number } {
  const form = new RegExp(`msg="request" .*url="?/v2/${repository}/blobs/uploads/\\S* .*status=413 .*received=(\\d+)`)
  const found = node
    .logs()
    .split('\n')
    .flatMap(line => form.exec(line)?.[1] ?? [])
  return { requests: found.length, received: found.reduce((sum, bytes) => sum + Number(bytes), 0) }
}

/** What the command said; it must fail. */
async function failure(work: Promise<unknown>): Promise<string> {
  const outcome = await work.then(
    () => 'the push went through',
    (error: unknown) => String(error)
  )
  expect(outcome).not.toBe('the push went through')
  return outcome
}

const layout = () => join(folder, 'layout')
const pushes: Partial<Record<ToolName, (to: string) => string[]>> = {
  crane: to => ['push', layout(), to],
  oras: to => ['cp', '--no-tty', '--from-oci-layout', '--to-plain-http', `${layout()}:v1`, to],
  regctl: to => ['--host', `reg=${node.host},tls=disabled`, 'image', 'copy', `ocidir://${layout()}:v1`, to],
  skopeo: to => ['--insecure-policy', 'copy', '--dest-tls-verify=false', `oci:${layout()}:v1`, `docker://${to}`]
}

for (const [tool, args] of Object.entries(pushes) as [ToolName, (to: string) => string[]][]) {
  describeWithTools([tool], tool, () => {
    it.each([
      ['full', /holds .* of the 1 MiB it may \(quota of full\/\*\)/],
      ['large', /at most 1 MiB \(quota of large\/\*\)/]
    ])(
      'is told by %s what is wrong',
      async (repository, words) => {
        const said = await failure(runTool(tool, args(`${node.host}/${repository}/${tool}:v1`), { timeout: 100_000 }))
        // regctl shows a status only, and that of its second attempt.
        if (tool !== 'regctl') expect(said).toMatch(words)
        expect(refused(`${repository}/${tool}`).received).toBeLessThan(2 * layerSize)
      },
      120_000
    )
  })
}

describeWithTools(['dockerd', 'docker', 'busybox', 'umount'], 'docker', () => {
  let engine: Dockerd
  beforeAll(async () => {
    engine = await startDockerd()
    const root = join(folder, 'root')
    await mkdir(root)
    await writeFile(join(root, 'random'), randomBytes(layerSize))
    await engine.importFolder(root, 'random:local')
  }, 120_000)
  afterAll(() => engine?.close())

  it.each([
    ['full', /holds .* of the 1 MiB it may \(quota of full\/\*\)/],
    ['large', /at most 1 MiB \(quota of large\/\*\)/]
  ])(
    'is told by %s what is wrong',
    async (repository, words) => {
      const name = `${node.host}/${repository}/docker:v1`
      await engine.docker(['tag', 'random:local', name])
      const said = await failure(engine.docker(['push', name], { timeout: 170_000 }))
      expect(said).toMatch(words)
    },
    180_000
  )
})

describe('a client of HTTP', () => {
  it('is refused before it sends a body whose length does not fit', async () => {
    const body = new Uint8Array(layerSize)
    const digest = `sha256:${'0'.repeat(64)}`
    const response = await fetch(`${node.url}/v2/full/http/blobs/uploads/?digest=${digest}`, { method: 'POST', body })
    expect(response.status).toBe(413)
    expect(response.headers.get('retry-after')).toBeNull()
    expect(await response.json()).toMatchObject({
      errors: [{ code: 'DENIED', detail: { quota: 'full/*', limit: 1024 * KiB, used: 0, size: layerSize } }]
    })
    await vi.waitFor(() => expect(refused('full/http')).toEqual({ requests: 1, received: 0 }))
  })
})
