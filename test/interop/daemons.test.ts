import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Containerd, startContainerd } from './containerd.ts'
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts'
import { type Dockerd, makeBusyboxRoot, startDockerd } from './dockerd.ts'
import { type Kubo, startKubo } from './kubo.ts'
import { makePodman } from './podman.ts'
import { type Daemon, describeWithTools, findTool, runTool, startDaemon } from './tools.ts'

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`)

describeWithTools(['busybox'], 'runTool', () => {
  const sh = (script: string, options = {}) => runTool('busybox', ['sh', '-c', script], options)

  it('gives output, feeds input and keeps the environment bare', async () => {
    const result = await sh('cat; echo "$SECRET|$GIVEN" >&2', { input: 'hello', env: { GIVEN: 'yes' } })
    expect(result).toMatchObject({ stdout: 'hello', stderr: '|yes\n', exitCode: 0 })
  })

  it('streams output of any size past memory', async () => {
    const hash = createHash('sha256')
    await sh('head -c 40000000 /dev/zero', { output: hash, maxOutput: 10 })
    expect(hash.read()).toEqual(createHash('sha256').update(Buffer.alloc(40_000_000)).digest())
  })

  it('shows the command and its output when it fails', async () => {
    await expect(sh('echo out; echo err >&2; exit 3')).rejects.toThrow(/^busybox sh -c '.*': ended with 3\nout\n\s*err/)
    await expect(sh('exit 3', { exitCodes: [3] })).resolves.toMatchObject({ exitCode: 3 })
  })

  it('refuses output beyond its limit instead of cutting it', async () => {
    await expect(sh('head -c 1000 /dev/zero', { maxOutput: 999 })).rejects.toThrow(/more than 999 bytes/)
  })

  it('ends the program at the timeout and at an abort', async () => {
    await expect(sh('exec sleep 600', { timeout: 50 })).rejects.toMatchObject({ cause: { name: 'TimeoutError' } })
    const reason = new Error('enough')
    const controller = new AbortController()
    const running = sh('exec sleep 600', { signal: controller.signal })
    controller.abort(reason)
    await expect(running).rejects.toMatchObject({ cause: reason })
  })

  it('does not wait for a grandchild that holds the pipes', async () => {
    await expect(sh('sleep 20 & exec sleep 600', { timeout: 50 })).rejects.toThrow(/timeout/i)
  })
})

describeWithTools(['busybox'], 'startDaemon', () => {
  const start = (script: string, options: { ready?: RegExp; readyTimeout?: number; stopGrace?: number } = {}) =>
    startDaemon('busybox', ['sh', '-c', script], { ready: /^ready/, ...options })

  it('waits for its line and stops', async () => {
    const daemon: Daemon = await start('echo starting; echo ready 17; exec sleep 600')
    expect(daemon.readyLine).toBe('ready 17')
    expect(daemon.logs()).toBe('starting\nready 17\n')
    await daemon.stop()
    expect(isAlive(daemon.pid)).toBe(false)
    await daemon.stop()
  })

  it('kills what ignores SIGTERM', async () => {
    const daemon = await start("trap '' TERM; echo ready; while true; do sleep 1; done", { stopGrace: 50 })
    await daemon.stop()
    expect(isAlive(daemon.pid)).toBe(false)
  })

  it('shows the output of what exits early or never gets ready', async () => {
    await expect(start('echo no luck; exit 4')).rejects.toThrow(/ended with 4 before it was ready\nno luck/)
    await expect(start('echo slow; exec sleep 600', { readyTimeout: 300 })).rejects.toThrow(/not ready after 300 ms/)
  })
})

describe('describeWithTools', () => {
  it('does not find what is not there', () => {
    const before = process.env.PATH
    const tools = process.env.PINNACE_TOOLS
    try {
      process.env.PATH = ''
      process.env.PINNACE_TOOLS = '/nonexistent'
      expect(findTool('crane')).toBeUndefined()
    } finally {
      process.env.PATH = before
      if (tools === undefined) delete process.env.PINNACE_TOOLS
      else process.env.PINNACE_TOOLS = tools
    }
  })
})

describeWithTools(['ipfs'], 'Kubo', () => {
  let folder: string
  const nodes: Kubo[] = []

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-kubo-test-'))
    nodes.push(...(await Promise.all([startKubo(), startKubo()])))
  })
  afterAll(async () => {
    await Promise.all(nodes.map(node => node.close()))
    expect(nodes.filter(node => isAlive(node.pid) || existsSync(node.path))).toEqual([])
    await rm(folder, { recursive: true, force: true })
  })

  it('fetches from a connected node, and only then', async () => {
    const [one, other] = nodes
    if (one === undefined || other === undefined) throw new Error('no nodes')
    expect((await one.ipfs(['swarm', 'peers'])).stdout).toBe('')
    const bytes = randomBytes(3_000_000)
    await writeFile(join(folder, 'file'), bytes)
    const expected = await one.addOnlyHash(join(folder, 'file'))
    await expect(one.ipfs(['cat', '--offline', expected])).rejects.toThrow(/not found/)
    expect(await one.add(join(folder, 'file'))).toBe(expected)
    await other.connect(one.multiaddrs[0] ?? '')
    expect((await other.cat(expected)).equals(bytes)).toBe(true)
    await other.get(expected, join(folder, 'copy'))
    expect((await readFile(join(folder, 'copy'))).equals(bytes)).toBe(true)
    expect((await fetch(`${other.gateway}/ipfs/${expected}`)).headers.get('content-length')).toBe('3000000')
  })

  it('computes the CIDs of unixfs-v1-2025', async () => {
    const [one] = nodes
    await mkdir(join(folder, 'tree'))
    await writeFile(join(folder, 'tree', 'empty'), '')
    // The raw block of no bytes, known everywhere.
    expect(await one?.addOnlyHash(join(folder, 'tree', 'empty'))).toBe(
      'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
    )
    expect(await one?.addOnlyHash(join(folder, 'tree'))).toMatch(/^bafybei/)
  })
})

describeWithTools(['dockerd', 'docker', 'busybox', 'tar', 'umount'], 'dockerd', () => {
  let engine: Dockerd
  beforeAll(async () => {
    engine = await startDockerd()
    await engine.importBusybox()
  })
  afterAll(async () => {
    await engine.close()
    expect(isAlive(engine.pid)).toBe(false)
    expect(existsSync(engine.host.slice('unix://'.length))).toBe(false)
  })

  it('runs a container from a local image', async () => {
    const result = await engine.docker([
      'run',
      '--rm',
      '--network',
      'none',
      'busybox:local',
      'sh',
      '-c',
      'echo $((6*7))'
    ])
    expect(result.stdout).toBe('42\n')
  })

  it('builds a Dockerfile of two stages', async () => {
    const context = await mkdtemp(join(tmpdir(), 'pinnace-build-'))
    try {
      await writeFile(
        join(context, 'Dockerfile'),
        'FROM busybox:local AS made\nRUN echo made > /file\nFROM busybox:local\nCOPY --from=made /file /file\nUSER nobody\nCMD ["cat", "/file"]\n'
      )
      await engine.docker(['build', '--network', 'none', '--tag', 'built:1', context])
      expect((await engine.docker(['run', '--rm', '--network', 'none', 'built:1'])).stdout).toBe('made\n')
    } finally {
      await rm(context, { recursive: true, force: true })
    }
  })
})

describeWithTools(['podman', 'busybox', 'umount'], 'podman', () => {
  it('builds and runs in folders of its own', async () => {
    const { podman, folder, close } = await makePodman()
    try {
      await makeBusyboxRoot(join(folder, 'context', 'root'))
      await writeFile(join(folder, 'context', 'Containerfile'), 'FROM scratch\nCOPY root /\nRUN echo built > /file\n')
      await podman(['build', '--network', 'none', '--tag', 'localhost/built:1', join(folder, 'context')])
      const run = await podman(['run', '--rm', '--network', 'none', 'localhost/built:1', 'cat', '/file'])
      expect(run.stdout).toBe('built\n')
    } finally {
      await close()
    }
    expect(existsSync(folder)).toBe(false)
  })
})

describeWithTools(['containerd', 'ctr', 'umount', 'docker-registry', 'crane', 'busybox', 'tar'], 'containerd', () => {
  let folder: string
  let registry: DockerRegistry
  let containerd: Containerd
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-ctr-test-'))
    registry = await startDockerRegistry()
    containerd = await startContainerd()
  })
  afterAll(async () => {
    await containerd.close()
    await registry.close()
    expect([containerd.pid, registry.pid].filter(isAlive)).toEqual([])
    expect(existsSync(containerd.socket)).toBe(false)
    await rm(folder, { recursive: true, force: true })
  })

  it('pulls, runs and pushes', async () => {
    const name = `${registry.host}/app`
    await makeBusyboxRoot(join(folder, 'root'))
    await runTool('tar', ['-C', join(folder, 'root'), '-cf', join(folder, 'layer.tar'), '.'])
    await runTool('crane', ['append', '--insecure', '-f', join(folder, 'layer.tar'), '-t', `${name}:1`])
    await containerd.ctr(['images', 'pull', '--plain-http', `${name}:1`])
    const run = await containerd.ctr(['run', '--rm', `${name}:1`, 'first', '/bin/echo', 'it runs'])
    expect(run.stdout).toBe('it runs\n')
    await containerd.ctr(['images', 'tag', `${name}:1`, `${name}:2`])
    await containerd.ctr(['images', 'push', '--plain-http', `${name}:2`])
    const digests = await Promise.all(['1', '2'].map(tag => runTool('crane', ['digest', `${name}:${tag}`])))
    expect(digests[1]?.stdout).toMatch(/^sha256:/)
    expect(digests[1]?.stdout).toBe(digests[0]?.stdout)
  })
})

describeWithTools(['registry', 'crane'], 'distribution 3', () => {
  it('answers on its own port and leaves nothing', async () => {
    const registry = await startDockerRegistry({ program: 'registry' })
    try {
      expect((await runTool('crane', ['catalog', registry.host])).stdout).toBe('')
    } finally {
      await registry.close()
    }
    expect(isAlive(registry.pid)).toBe(false)
  })
})
