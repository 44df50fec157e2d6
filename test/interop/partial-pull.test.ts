import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Pinnace, startPinnace } from './node.ts'
import { makePodman, type Podman } from './podman.ts'
import { acceptManifests, ask } from './registry-api.ts'
import { describeWithTools } from './tools.ts'

/** Files of the image. Podman asks for 1,024 ranges at most, and merges what is closer than 128 bytes. */
const count = 2400
const fileSize = 2000

describeWithTools(['podman', 'mount', 'umount'], 'partial pulls', () => {
  let node: Pinnace
  let own: Podman
  const podman = async (...args: string[]): Promise<string> => (await own.podman(args)).stdout

  beforeAll(async () => {
    ;[node, own] = await Promise.all([
      startPinnace({ config: { log: { accesslog: { disabled: false } } } }),
      makePodman({ partialPulls: true })
    ])
    await mkdir(join(own.folder, 'context', 'root'), { recursive: true })
    await writeFile(join(own.folder, 'context', 'Containerfile'), 'FROM scratch\nCOPY root /\n')
  })
  afterAll(async () => {
    await own?.close()
    await node?.close()
  })

  /** Pushes the files as a layer of `zstd:chunked`. */
  async function push(tag: string, files: readonly Buffer[]): Promise<string> {
    const context = join(own.folder, 'context')
    await Promise.all(files.map((bytes, at) => writeFile(join(context, 'root', `file-${at}`), bytes)))
    await podman('build', '--network', 'none', '--no-cache', '--tag', `localhost/app:${tag}`, context)
    const name = `${node.host}/partial/app:${tag}`
    await podman('push', '--tls-verify=false', '--compression-format', 'zstd:chunked', `localhost/app:${tag}`, name)
    return name
  }

  /** Pulls, checks every file, and gives what the node sent of the image's layer. */
  async function pull(
    name: string,
    files: readonly Buffer[]
  ): Promise<{ answers: { status: number; sent: number }[]; size: number }> {
    const before = node.logs().length
    await podman('pull', '--tls-verify=false', name)
    const mounted = (await podman('image', 'mount', name)).trim()
    for (const [at, bytes] of files.entries()) {
      if (!(await readFile(join(mounted, `file-${at}`))).equals(bytes)) throw new Error(`file-${at} is another`)
    }
    await podman('image', 'unmount', name)
    const tag = name.slice(name.lastIndexOf(':') + 1)
    const response = await ask(node.url, `partial/app/manifests/${tag}`, { headers: acceptManifests })
    const manifest: { layers: [{ digest: string; size: number }] } = JSON.parse(await response.text())
    const [{ digest, size }] = manifest.layers
    const lines = node.logs().slice(before).split('\n')
    const answers = lines
      .filter(line => line.includes('method=GET') && line.includes(`/blobs/${digest}`))
      .map(line => ({
        status: Number(/ status=(\d+)/.exec(line)?.[1]),
        sent: Number(/ sent=(\d+)/.exec(line)?.[1])
      }))
    return { answers, size }
  }

  it('take of a layer the files that are not here yet, a thousand ranges in one request', async () => {
    const old = Array.from({ length: count }, () => randomBytes(fileSize))
    // No two neighbours, so that no two ranges are one.
    const changed = old.map((bytes, at) => (at % 2 === 0 ? randomBytes(fileSize) : bytes))
    const [first, second] = [await push('v1', old), await push('v2', changed)]
    await podman('rmi', '--all', '--force')
    for (const [name, files] of [
      [first, old],
      [second, changed]
    ] as const) {
      const { answers, size } = await pull(name, files)
      expect(answers.map(answer => answer.status)).toEqual(answers.map(() => 206))
      const sent = answers.reduce((sum, answer) => sum + answer.sent, 0)
      if (files === old) expect(sent).toBeGreaterThan(count * fileSize)
      else {
        // Half of the files, twelve hundred ranges of them merged into a thousand, their headers, and the list of files.
        expect(sent).toBeGreaterThan((count / 2) * fileSize)
        expect(sent).toBeLessThan(size * 0.75)
      }
    }
  })
})
