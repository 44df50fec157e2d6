import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Dockerd, makeBusyboxRoot, startDockerd } from './dockerd.ts'
import { describeWithTools, runProgram, runTool } from './tools.ts'

const repository = fileURLToPath(new URL('../../', import.meta.url))
const volume = 'pinnace-data'
/** A name of at most 15 characters that no other run has. */
const bridge = `pnc${process.pid}`

let engine: Dockerd
let work: string

/** What the image starts from, made of this machine's files: busybox and the Node.js of this process. */
async function makeBase(): Promise<string> {
  const root = join(work, 'base')
  await makeBusyboxRoot(root)
  await mkdir(join(root, 'usr', 'local', 'bin'), { recursive: true })
  await symlink('/bin', join(root, 'usr', 'bin'))
  await cp(process.execPath, join(root, 'usr', 'local', 'bin', 'node'), { dereference: true })
  // bcrypt needs a library of libc that Node.js itself does not; every image of Node.js has both.
  const bcrypt = join(repository, 'node_modules', '@node-rs', `bcrypt-linux-${process.arch}-gnu`)
  const addons = (await readdir(bcrypt)).filter(name => name.endsWith('.node')).map(name => join(bcrypt, name))
  const { stdout } = await runProgram('/usr/bin/ldd', [process.execPath, ...addons])
  for (const [library] of stdout.matchAll(/(?<==> |^\t)\/\S+\.so\S*/gm)) {
    await mkdir(join(root, dirname(library)), { recursive: true })
    await cp(library, join(root, library), { dereference: true })
  }
  await importFolder(root, 'base:local', 'ENV PATH=/usr/local/bin:/usr/bin:/bin')
  return root
}

/** What it is built in: the same with npm and, as no registry can be reached, the packages that `npm ci` wants. */
async function makeBuilder(root: string): Promise<void> {
  await cp(await npmFolder(), join(root, 'usr', 'local', 'lib', 'npm'), { recursive: true, dereference: true })
  await symlink('../lib/npm/bin/npm-cli.js', join(root, 'usr', 'local', 'bin', 'npm'))
  await fillCache(join(root, 'npm-cache'))
  const offline = 'npm_config_cache=/npm-cache npm_config_offline=true'
  await importFolder(root, 'builder:local', `ENV PATH=/usr/local/bin:/usr/bin:/bin ${offline}`)
}

async function importFolder(root: string, tag: string, change: string): Promise<void> {
  const archive = join(work, 'root.tar')
  await runTool('tar', [
    '-C',
    root,
    '--numeric-owner',
    '--owner=0',
    '--group=0',
    '-cf',
    archive,
    '--',
    ...(await readdir(root))
  ])
  await engine.docker(['import', '--change', change, archive, tag])
  await rm(archive)
}

/** Where the npm on the `PATH` lies; `npm root` tells where the Node.js that runs it would have one. */
async function npmFolder(): Promise<string> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const program = await realpath(join(folder, 'npm')).catch(() => undefined)
    if (program?.endsWith(join('npm', 'bin', 'npm-cli.js'))) return dirname(dirname(program))
  }
  throw new Error('no npm on the PATH')
}

interface Lock {
  packages: Record<string, { version?: string; integrity?: string; resolved?: string }>
}

/** The tarballs of the lock file that `npm ci` left in npm's cache when it installed this repository. */
async function fillCache(cache: string): Promise<void> {
  const { stdout } = await runProgram('/usr/bin/env', ['npm', 'config', 'get', 'cache'], { env: ownHome() })
  const contents = join('_cacache', 'content-v2')
  const { packages } = await readLock()
  for (const { integrity } of Object.values(packages)) {
    const [algorithm, base64] = integrity?.split('-') ?? []
    if (algorithm === undefined || base64 === undefined) continue
    const hex = Buffer.from(base64, 'base64').toString('hex')
    const path = join(contents, algorithm, hex.slice(0, 2), hex.slice(2, 4), hex.slice(4))
    // Packages for other platforms were never downloaded, nor will npm ask for them.
    await cp(join(stdout.trim(), path), join(cache, path)).catch(() => undefined)
  }
}

/** npm keeps its cache in the home of whoever installed. */
function ownHome(): Record<string, string> {
  return { HOME: process.env.HOME ?? '/' }
}

async function readLock(): Promise<Lock> {
  return JSON.parse(await readFile(join(repository, 'package-lock.json'), 'utf8'))
}

/** The build context; in the lock file every package has an address, for without one npm asks for it although it has the bytes. */
async function makeContext(): Promise<string> {
  const context = join(work, 'context')
  await mkdir(join(context, 'config'), { recursive: true })
  const sources = ['LICENSE-APACHE', 'LICENSE-MIT', 'package.json', 'tsconfig.json', 'tsconfig.build.json', 'src']
  for (const name of ['Dockerfile', '.dockerignore', ...sources]) {
    await cp(join(repository, name), join(context, name), { recursive: true })
  }
  await cp(join(repository, 'config', 'registry.yml'), join(context, 'config', 'registry.yml'))
  const lock = await readLock()
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (entry.integrity !== undefined) entry.resolved ??= `https://offline.invalid/${path}/${entry.version}.tgz`
  }
  await writeFile(join(context, 'package-lock.json'), JSON.stringify(lock))
  return context
}

const docker = async (...args: string[]): Promise<string> => (await engine.docker(args)).stdout.trim()

async function eventually(what: string, question: () => Promise<boolean>): Promise<void> {
  const giveUp = Date.now() + 60_000
  while (!(await question().catch(() => false))) {
    if (Date.now() > giveUp) throw new Error(`never ${what}`)
    await delay(200)
  }
}

const health = (container: string): Promise<string> => docker('inspect', '-f', '{{.State.Health.Status}}', container)

async function healthy(container: string): Promise<void> {
  await eventually('healthy', async () => (await health(container)) === 'healthy').catch(async (cause: unknown) => {
    const { stdout, stderr } = await engine.docker(['logs', '--tail', '20', container])
    throw new Error(`the node never got healthy; it said:\n${stdout}${stderr}`, { cause })
  })
}

describeWithTools(['dockerd', 'docker', 'busybox', 'ip', 'tar'], 'the Docker image', () => {
  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'pinnace-image-'))
    await runTool('ip', ['link', 'add', 'name', bridge, 'type', 'bridge'])
    await runTool('ip', ['address', 'add', '172.31.253.1/24', 'dev', bridge])
    await runTool('ip', ['link', 'set', bridge, 'up'])
    // A build of two dozen steps under vfs takes ten minutes; where overlayfs is not to be had, it does.
    engine = await startDockerd({ bridge, storageDriver: 'overlay2' }).catch(() => startDockerd({ bridge }))
    await makeBuilder(await makeBase())
    const bases = ['--build-arg', 'BUILD_IMAGE=builder:local', '--build-arg', 'BASE_IMAGE=base:local']
    await engine.docker(['build', '--network', 'none', ...bases, '-t', 'pinnace:test', await makeContext()], {
      timeout: 900_000
    })
  }, 1_200_000)

  afterAll(async () => {
    await engine?.close()
    await runTool('ip', ['link', 'delete', bridge], { exitCodes: [0, 1] })
    if (work !== undefined) await rm(work, { recursive: true, force: true })
  })

  it('is not root, declares ports, volume and health, and serves by default', async () => {
    const config = JSON.parse(await docker('inspect', '-f', '{{json .Config}}', 'pinnace:test'))
    expect(config).toMatchObject({
      User: '1000:1000',
      ExposedPorts: { '4001/tcp': {}, '5000/tcp': {} },
      Volumes: { '/var/lib/registry': {} },
      Entrypoint: ['pinnace'],
      Cmd: ['serve', '/etc/docker/registry/config.yml'],
      Healthcheck: { Test: ['CMD', 'pinnace', 'health'] }
    })
    expect(config.Env).toContain('REGISTRY_HTTP_ADDR=0.0.0.0:5000')
  })

  it('serves on a published port, gets healthy, ends by SIGTERM with 0, and keeps its data in the volume', async () => {
    const first = await docker(
      'run',
      '-d',
      '-p',
      '127.0.0.1:9999:5000',
      '-v',
      `${volume}:/var/lib/registry`,
      'pinnace:test'
    )
    await healthy(first)
    expect((await fetch('http://127.0.0.1:9999/v2/')).status).toBe(200)
    await engine.docker(['tag', 'base:local', 'localhost:9999/base:v1'])
    await engine.docker(['push', '--quiet', 'localhost:9999/base:v1'])
    expect(await docker('exec', first, 'pinnace', 'ls')).toBe('base')
    const peerId = await docker('exec', first, 'pinnace', 'id')
    expect(peerId).toMatch(/\/ip4\/172\.31\.253\.\d+\/tcp\/4001\/p2p\//)
    await engine.docker(['stop', '--time', '60', first])
    expect(await docker('inspect', '-f', '{{.State.ExitCode}}', first)).toBe('0')
    await engine.docker(['rm', first])

    const second = await docker(
      'run',
      '-d',
      '-p',
      '127.0.0.1:9999:5000',
      '-v',
      `${volume}:/var/lib/registry`,
      'pinnace:test'
    )
    await healthy(second)
    expect((await docker('exec', second, 'pinnace', 'id')).split('\n')[0]).toBe(peerId.split('\n')[0])
    const head = await fetch('http://127.0.0.1:9999/v2/base/manifests/v1', { method: 'HEAD' })
    expect(head.status).toBe(200)
    await engine.docker(['rm', '--force', second])
  })

  it('refuses a volume that another container serves, and takes it after that was killed', async () => {
    const first = await docker('run', '-d', '-v', `${volume}:/var/lib/registry`, 'pinnace:test')
    await healthy(first)
    const second = await engine.docker(['run', '--rm', '-v', `${volume}:/var/lib/registry`, 'pinnace:test'], {
      exitCodes: [4]
    })
    expect(second.stderr).toMatch(/is in use by process 1 of another container \(pinnace serve, since /)
    await engine.docker(['kill', first])
    const third = await docker('run', '-d', '-v', `${volume}:/var/lib/registry`, 'pinnace:test')
    await healthy(third)
    await engine.docker(['rm', '--force', first, third])
  })

  it('is unhealthy where nothing answers', async () => {
    const { stderr } = await engine.docker(['run', '--rm', '--network', 'none', 'pinnace:test', 'health'], {
      exitCodes: [1]
    })
    expect(stderr).toMatch(/the node does not answer: /)
  })
})
