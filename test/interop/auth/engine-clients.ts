/** Clients that keep images in a store of their own: they push what is in it. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { startContainerd } from '../containerd.ts'
import { startDockerd } from '../dockerd.ts'
import { type Image, imageOf, tarOf, writeLayout } from '../images.ts'
import { makePodman } from '../podman.ts'
import { type RunOptions, type RunResult, runTool } from '../run.ts'
import { type AuthClient, type ClientInit, lenient, type Outcome, shown } from './client.ts'

const smallImage = (): Image => imageOf([tarOf({ random: randomBytes(70_000) })])

/** An OCI image layout as one file. */
async function packed(layout: string, archive: string): Promise<void> {
  await runTool('tar', ['-C', layout, '-cf', archive, 'oci-layout', 'index.json', 'blobs'])
}

/** The engine's classic image store: that of Debian's Docker is older than the one in containerd. */
export const docker: ClientInit = {
  name: 'docker',
  tools: ['dockerd', 'docker', 'skopeo', 'umount'],
  keepsToken: true,
  says: { wrong: /unauthorized|incorrect username or password/i, denied: /denied/i },
  start: (host, image) => startDocker('classic', host, image)
}

/** The same client of the engine since Docker 29, where containerd signs in, pushes and pulls. */
export const dockerOnContainerd: ClientInit = {
  ...docker,
  name: 'docker with the containerd image store',
  tools: ['moby', 'containerd', 'ctr', 'docker', 'skopeo', 'umount'],
  // This engine tells what the registry says without its code; of a refused credential it tells the client, which asks.
  says: { wrong: /unauthorized|incorrect username or password|login prior to pull/i, denied: /denied|may not/i },
  start: (host, image) => startDocker('containerd', host, image)
}

/** Ends a command that asks for another login, as its user would: some versions wait for an answer even where none can come. */
async function unlessAsked(run: (options: RunOptions) => Promise<RunResult>): Promise<Outcome> {
  const asked = new AbortController()
  let printed = ''
  const output = new Writable({
    write(chunk: Buffer, _encoding, written) {
      printed += chunk.toString()
      if (/login prior to/i.test(printed)) asked.abort()
      written()
    }
  })
  try {
    const { exitCode, stderr } = await run(lenient({ output, signal: asked.signal }))
    return { exitCode, output: printed + stderr }
  } catch (cause) {
    if (asked.signal.aborted) return { exitCode: 1, output: printed }
    throw cause
  }
}

async function startDocker(
  imageStore: 'classic' | 'containerd',
  host: string,
  image = smallImage()
): Promise<AuthClient> {
  const [folder, engine] = await Promise.all([
    mkdtemp(join(tmpdir(), 'pinnace-auth-docker-')),
    startDockerd({ imageStore })
  ])
  const config = join(folder, 'config')
  const env = { DOCKER_CONFIG: config }
  const run = (args: readonly string[], input?: string): Promise<Outcome> =>
    unlessAsked(options => engine.docker(args, { ...options, env, ...(input !== undefined && { input }) }))
  const [layout, archive] = [join(folder, 'layout'), join(folder, 'image.tar')]
  await writeLayout(layout, { v1: image })
  const copy = ['--insecure-policy', '--tmpdir', folder, 'copy', `oci:${layout}:v1`]
  await runTool('skopeo', [...copy, `docker-archive:${archive}:local:v1`])
  await engine.docker(['load', '--input', archive])
  const push = async (repository: string): Promise<Outcome> => {
    await run(['tag', 'local:v1', `${host}/${repository}:v1`])
    return run(['push', `${host}/${repository}:v1`])
  }
  return {
    login: (user, password) => run(['login', '-u', user, '--password-stdin', host], password),
    logout: () => run(['logout', host]),
    push,
    // It remembers where its layers are.
    mount: (_from, to) => push(to),
    pull: repository => run(['pull', `${host}/${repository}:v1`]),
    stored: () => readFile(join(config, 'config.json'), 'utf8'),
    close: async () => {
      await engine.close()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

export const podman: ClientInit = {
  name: 'podman',
  tools: ['podman', 'tar', 'umount'],
  says: { wrong: /invalid username\/password|unauthorized/i, denied: /denied/i },
  async start(host, image = smallImage()) {
    const own = await makePodman()
    const file = join(own.folder, 'auth.json')
    const kept = ['--authfile', file]
    const plain = [...kept, '--tls-verify=false']
    const run = async (args: readonly string[], input?: string): Promise<Outcome> =>
      shown(await own.podman(args, lenient(input === undefined ? {} : { input })))
    const layout = join(own.folder, 'layout')
    await writeLayout(layout, { v1: image })
    // A file that was named has to be there.
    await writeFile(file, '{}')
    const archive = join(own.folder, 'image.tar')
    await packed(layout, archive)
    const loaded = (await own.podman(['load', '--quiet', '--input', archive])).stdout
    const id = /^Loaded image: (?:sha256:)?(\S+)/m.exec(loaded)?.[1] ?? loaded
    const push = (repository: string) => run(['push', ...plain, id, `docker://${host}/${repository}:v1`])
    return {
      login: (user, password) => run(['login', ...plain, '-u', user, '--password-stdin', host], password),
      logout: () => run(['logout', ...kept, host]),
      push,
      mount: (_from, to) => push(to),
      pull: repository => run(['pull', ...plain, `docker://${host}/${repository}:v1`]),
      stored: () => readFile(file, 'utf8'),
      close: () => own.close()
    }
  }
}

/** It keeps no credential; every command is given one. */
export const ctr: ClientInit = {
  name: 'ctr',
  tools: ['containerd', 'ctr', 'tar', 'umount'],
  says: { wrong: /401|authorization failed|unauthorized/i, denied: /403|denied|forbidden/i },
  async start(host, image = smallImage()) {
    const [folder, containerd] = await Promise.all([mkdtemp(join(tmpdir(), 'pinnace-auth-ctr-')), startContainerd()])
    const layout = join(folder, 'layout')
    const archive = join(folder, 'image.tar')
    await writeLayout(layout, { v1: image })
    await packed(layout, archive)
    const imported = (await containerd.ctr(['images', 'import', '--base-name', 'local', archive])).stdout
    const local = /^unpacking (\S+)/m.exec(imported)?.[1] ?? 'local:v1'
    let credential: string[] = []
    const run = async (...args: string[]): Promise<Outcome> => shown(await containerd.ctr(args, lenient()))
    const nothing: Outcome = { exitCode: 0, output: '' }
    const push = (repository: string) =>
      run('images', 'push', '--plain-http', ...credential, `${host}/${repository}:v1`, local)
    return {
      login: async (user, password) => {
        credential = ['--user', `${user}:${password}`]
        return nothing
      },
      logout: async () => {
        credential = []
        return nothing
      },
      push,
      mount: (_from, to) => push(to),
      pull: repository => run('images', 'pull', '--plain-http', ...credential, `${host}/${repository}:v1`),
      close: async () => {
        await containerd.close()
        await rm(folder, { recursive: true, force: true })
      }
    }
  }
}
