/** Clients on links that break their uploads: each push ends well, by itself or when it is made again. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Containerd, startContainerd } from './containerd.ts'
import { type Image, imageOf, tarOf, writeLayout } from './images.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { pushImage, validateImage } from './registry-api.ts'
import { type BreakingLink, breakingLink, type Fault } from './slow-link.ts'
import { describeWithTools, runTool, type ToolName } from './tools.ts'

/** Times that somebody types the push before giving up. */
const patience = 3
const half = (length: number) => Math.floor(length / 2)

/** A client's way to push an image, `v1` of an OCI layout, under a name. */
interface Client {
  tools: readonly ToolName[]
  /** Makes the image ready to be pushed. */
  prepare?(image: Image, name: string): Promise<void>
  push(layout: string, name: string): Promise<unknown>
  /** It repeats a request by itself after 408 and after a lost connection. Default false. */
  sendsAgain?: boolean
  close?(): Promise<void>
}

function describeClient(title: string, tools: readonly ToolName[], start: (folder: string) => Promise<Client>): void {
  describeWithTools(tools, title, () => {
    let folder: string
    let node: Pinnace
    let link: BreakingLink
    let client: Client

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'pinnace-broken-test-'))
      node = await startPinnace({ config: { ipfs: { timeouts: { stall: '1s' } } } })
      link = await breakingLink(Number(new URL(node.url).port))
      client = await start(folder)
    })
    afterAll(async () => {
      await client?.close?.()
      link?.close()
      await node?.close()
      await rm(folder, { recursive: true, force: true })
    })

    const killed = async (): Promise<void> => {
      await node.kill()
      await node.restart()
    }

    it.each<[string, () => Fault[]]>([
      ['at its first byte', () => [{ after: () => 0, how: 'cut' }]],
      ['in the middle', () => [{ after: half, how: 'cut' }]],
      ['at its last byte', () => [{ after: length => length - 1, how: 'cut' }]],
      ['behind its last byte, the answer lost', () => [{ how: 'answer' }]],
      ['in the middle, by silence', () => [{ after: half, how: 'stall' }]],
      ['in the middle, by the end of the node', () => [{ after: half, how: killed }]],
      ['behind its last byte, by the end of the node', () => [{ how: killed }]],
      [
        'several times',
        () => [
          { after: half, how: 'cut' },
          { after: length => half(half(length)), how: 'cut' }
        ]
      ]
    ])('%s', async (where, faults) => {
      const repository = where.replaceAll(/\W+/g, '-')
      const image = imageOf([tarOf({ random: randomBytes(3 << 20) }), tarOf({ small: randomBytes(1000) })])
      const layout = join(folder, repository)
      const name = `127.0.0.1:${link.port}/${repository}:v1`
      await writeLayout(layout, { v1: image })
      await client.prepare?.(image, name)
      link.faults.push(...faults())
      const runs = await pushUntilDone(async () => {
        await link.quiet()
        await client.push(layout, name)
      })
      // What it was refused or not told, it sends to the same session again.
      if (client.sendsAgain === true && /(?:silence|answer lost)$/.test(where)) expect(runs).toBe(1)
      expect(link.faults).toEqual([])
      await validateImage(node.url, repository, 'v1', image)
    })
  })
}

/** Returns how often that was. */
async function pushUntilDone(push: () => Promise<unknown>): Promise<number> {
  for (let time = 1; ; time++) {
    try {
      await push()
      return time
    } catch (error) {
      if (time === patience) throw error
    }
  }
}

describeClient('oras', ['oras'], async () => ({
  tools: ['oras'],
  push: (layout, name) =>
    runTool('oras', ['cp', '--no-tty', '--from-oci-layout', '--to-plain-http', `${layout}:v1`, name])
}))

for (const [title, chunks] of [
  ['regctl', {}],
  ['regctl, in chunks', { blobMax: 1 << 20, blobChunk: (1 << 20) + 4321 }]
] as const) {
  describeClient(title, ['regctl'], async folder => {
    const config = join(folder, 'config.json')
    return {
      tools: ['regctl'],
      sendsAgain: true,
      push: async (layout, name) => {
        const host = name.slice(0, name.indexOf('/'))
        await writeFile(config, JSON.stringify({ hosts: { [host]: { tls: 'disabled', hostname: host, ...chunks } } }))
        await runTool('regctl', ['image', 'copy', `ocidir://${layout}:v1`, name], { env: { REGCTL_CONFIG: config } })
      }
    }
  })
}

describeClient('containerd', ['containerd', 'ctr', 'umount'], async () => {
  let source: Pinnace | undefined
  let containerd: Containerd | undefined
  ;[source, containerd] = await Promise.all([startPinnace(), startContainerd()])
  const { host, url } = source
  const { ctr } = containerd
  return {
    tools: ['containerd', 'ctr'],
    prepare: async (image, name) => {
      const path = name.slice(name.indexOf('/') + 1)
      await pushImage(url, path.slice(0, path.indexOf(':')), 'v1', image)
      await ctr(['images', 'pull', '--plain-http', `${host}/${path}`])
      await ctr(['images', 'tag', `${host}/${path}`, name])
    },
    push: (_, name) => ctr(['images', 'push', '--plain-http', name]),
    close: async () => {
      await containerd?.close()
      await source?.close()
    }
  }
})
