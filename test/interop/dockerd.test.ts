import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Dockerd, startDockerd } from './dockerd.ts'
import { startKubo } from './kubo.ts'
import { type Pinnace, startPinnace } from './node.ts'
import { acceptManifests, ask, expectAsk } from './registry-api.ts'
import { describeWithTools, type RunResult, runTool } from './tools.ts'

const digestIn = (text: string): string => {
  const digest = /digest: (sha256:[0-9a-f]{64})/i.exec(text)?.[1]
  if (digest === undefined) throw new Error(`no digest in: ${text}`)
  return digest
}

const mebibyte = 1024 * 1024

/** Bytes that no compression makes smaller. */
async function* randomStream(mebibytes: number): AsyncGenerator<Uint8Array> {
  for (let n = 0; n < mebibytes; n++) {
    const bytes = new Uint8Array(mebibyte)
    for (let at = 0; at < mebibyte; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536))
    yield bytes
  }
}

describeWithTools(['dockerd', 'docker', 'busybox', 'tar', 'umount', 'skopeo', 'ipfs'], 'the Docker engine', () => {
  let folder: string
  let engine: Dockerd
  let node: Pinnace
  let name: string

  const docker = (...args: string[]): Promise<RunResult> => engine.docker(args, { timeout: 170_000 })
  const run = async (...args: string[]): Promise<string> =>
    (await docker('run', '--rm', '--network', 'none', ...args)).stdout
  /** Removes every image, so that nothing but the registry can supply it. */
  const forget = async (): Promise<void> => {
    const ids = (await docker('images', '--all', '--quiet')).stdout.split('\n').filter(id => id !== '')
    if (ids.length > 0) await docker('rmi', '--force', ...new Set(ids))
    expect((await docker('images', '--quiet')).stdout).toBe('')
  }
  const build = async (tag: string, dockerfile: string): Promise<void> => {
    const context = join(folder, `context-${tag.replaceAll(/\W/g, '-')}`)
    await mkdir(context)
    await writeFile(join(context, 'Dockerfile'), dockerfile)
    await docker('build', '--network', 'none', '--tag', tag, context)
  }
  /** Bytes of all open upload sessions. */
  const bytesStaged = async (): Promise<number> => {
    const uploads = join(node.dataDir, 'uploads')
    const sizes = (await readdir(uploads)).map(async id => (await stat(join(uploads, id)).catch(() => undefined))?.size)
    return (await Promise.all(sizes)).reduce<number>((sum, size) => sum + (size ?? 0), 0)
  }
  const importRandom = async (mebibytes: number, tag: string): Promise<void> => {
    const root = await mkdtemp(join(folder, 'random-'))
    await pipeline(randomStream(mebibytes), createWriteStream(join(root, 'random')))
    await engine.importFolder(root, tag)
    await rm(root, { recursive: true })
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-dockerd-test-'))
    ;[engine, node] = await Promise.all([startDockerd(), startPinnace()])
    name = `${node.host}/library/app`
    await engine.importBusybox()
    await build(`${name}:v1`, 'FROM busybox:local\nRUN echo one > /file\nCMD ["cat", "/file"]\n')
  })
  afterAll(async () => {
    await engine?.close()
    await node?.close()
    await rm(folder, { recursive: true, force: true })
  })

  let first: string
  let second: string

  it('pushes what it built, forgets it, pulls it and runs it', async () => {
    first = digestIn((await docker('push', `${name}:v1`)).stdout)
    const pushed = await ask(node.url, 'library/app/manifests/v1', {
      headers: { Accept: 'application/vnd.docker.distribution.manifest.v2+json' }
    })
    expect(pushed.headers.get('docker-content-digest')).toBe(first)
    expect(pushed.headers.get('content-type')).toBe('application/vnd.docker.distribution.manifest.v2+json')
    await docker('rmi', `${name}:v1`)
    const pull = await docker('pull', `${name}:v1`)
    expect(digestIn(pull.stdout)).toBe(first)
    expect(await run(`${name}:v1`)).toBe('one\n')
  })

  it('pushes layers of another tag and of another repository not twice', async () => {
    await build(`${name}:v2`, `FROM ${name}:v1\nRUN echo two > /file\n`)
    const push = await docker('push', `${name}:v2`)
    second = digestIn(push.stdout)
    expect(second).not.toBe(first)
    expect(push.stdout.match(/Layer already exists/g)).toHaveLength(2)

    await docker('tag', `${name}:v2`, `${node.host}/other/app:v2`)
    const mounted = await docker('push', `${node.host}/other/app:v2`)
    expect(mounted.stdout.match(/Mounted from library\/app/g)).toHaveLength(3)
    expect(digestIn(mounted.stdout)).toBe(second)
    await forget()
    expect(await run(`${node.host}/other/app:v2`, 'cat', '/file')).toBe('two\n')
  })

  it('pulls by digest', async () => {
    await forget()
    const pull = await docker('pull', `${name}@${first}`)
    expect(digestIn(pull.stdout)).toBe(first)
    expect(await run(`${name}@${first}`)).toBe('one\n')
    const inspected = await docker('image', 'inspect', '--format', '{{index .RepoDigests 0}}', `${name}@${first}`)
    expect(inspected.stdout.trim()).toBe(`${name}@${first}`)
  })

  it('says where the image is in IPFS', async () => {
    const head = await ask(node.url, 'library/app/manifests/v1', { method: 'HEAD', headers: { Accept: '*/*' } })
    const { imageCid } = JSON.parse((await node.pinnace(['inspect', 'library/app:v1', '--json'])).stdout)
    expect(imageCid).toMatch(/^bafybei[a-z2-7]{52}$/)
    expect(head.headers.get('x-ipfs-path')).toBe(`/ipfs/${imageCid}/blobs/sha256/${first.slice('sha256:'.length)}`)
  })

  it('gets back from IPFS, with tools that know nothing of the registry, what it pushed', async () => {
    const { imageCid } = JSON.parse((await node.pinnace(['inspect', 'library/app:v1', '--json'])).stdout)
    const { multiaddrs } = await node.id()
    const kubo = await startKubo()
    try {
      await kubo.connect(multiaddrs[0] ?? '')
      await kubo.get(`/ipfs/${imageCid}`, join(folder, 'image'))
    } finally {
      await kubo.close()
    }
    const layout = `oci:${join(folder, 'image')}`
    expect(JSON.parse((await runTool('skopeo', ['inspect', layout])).stdout).Digest).toBe(first)
    const daemon = ['--dest-daemon-host', engine.host, `docker-daemon:from/ipfs:v1`]
    await runTool('skopeo', ['--insecure-policy', '--tmpdir', folder, 'copy', layout, ...daemon])
    expect(await run('from/ipfs:v1')).toBe('one\n')
  })

  it('pulls all tags of a repository', async () => {
    await forget()
    await docker('pull', '--all-tags', name)
    const tags = (await docker('images', '--format', '{{.Tag}}', name)).stdout.split('\n').filter(tag => tag !== '')
    expect(tags.sort()).toEqual(['v1', 'v2'])
    expect(await run(`${name}:v2`, 'cat', '/file')).toBe('two\n')
  })

  it('finds no more what was deleted, and the rest', async () => {
    await expectAsk(node.url, `library/app/manifests/${second}`, 202, { method: 'DELETE' })
    await forget()
    await expect(docker('pull', `${name}:v2`)).rejects.toThrow(/manifest unknown|not found/)
    // By digest the engine may use a manifest that it still keeps itself, without asking.
    const head = await ask(node.url, `library/app/manifests/${second}`, { method: 'HEAD', headers: acceptManifests })
    expect(head.status).toBe(404)
    expect(await run(`${name}:v1`)).toBe('one\n')
  })

  it('takes a multi-platform index for its own platform', async () => {
    await docker('manifest', 'create', '--insecure', `${name}:multi`, `${name}:v1`)
    const push = await docker('manifest', 'push', '--insecure', `${name}:multi`)
    expect(push.stdout.trim()).toMatch(/^sha256:[0-9a-f]{64}$/)
    await forget()
    expect(digestIn((await docker('pull', `${name}:multi`)).stdout)).toBe(push.stdout.trim())
    expect(await run(`${name}:multi`)).toBe('one\n')
  })

  it('moves a layer of 200 MiB both ways', { timeout: 240_000 }, async () => {
    await importRandom(200, `${node.host}/big:v1`)
    const digest = digestIn((await docker('push', `${node.host}/big:v1`)).stdout)
    await forget()
    expect(digestIn((await docker('pull', `${node.host}/big:v1`)).stdout)).toBe(digest)
    // One engine's digest is the other tool's: the registry has not changed a byte.
    const seen = await runTool('skopeo', ['inspect', '--tls-verify=false', `docker://${node.host}/big:v1`])
    expect(JSON.parse(seen.stdout).Digest).toBe(digest)
    await forget()
  })

  it('pushes again what a killed node had half', { timeout: 240_000 }, async () => {
    await importRandom(64, `${node.host}/half:v1`)
    const cut = docker('push', `${node.host}/half:v1`).then(
      () => 'pushed',
      () => 'failed'
    )
    const deadline = AbortSignal.timeout(60_000)
    while ((await bytesStaged()) < mebibyte) {
      deadline.throwIfAborted()
      await wait(5)
    }
    await node.kill()
    await node.restart()
    // The engine tries again by itself for a while: either way the image is whole in the end, or not there.
    const outcome = await cut
    const head = await ask(node.url, 'half/manifests/v1', { method: 'HEAD', headers: { Accept: '*/*' } })
    expect(head.status).toBe(outcome === 'pushed' ? 200 : 404)
    const digest = digestIn((await docker('push', `${node.host}/half:v1`)).stdout)
    await forget()
    expect(digestIn((await docker('pull', `${node.host}/half:v1`)).stdout)).toBe(digest)
  })
})
