import { chmod, cp, mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Containerd, startContainerd } from './containerd.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { requireTool } from './find.ts'
import { removeWithMounts } from './mounts.ts'
import { type RunOptions, type RunResult, runTool } from './run.ts'

export interface DockerdOptions {
  /** Registries beyond 127.0.0.0/8 that may speak plain HTTP or TLS of an unknown authority: `host:port`. */
  insecureRegistries?: readonly string[]
  /** Name of a bridge that is there, for containers that want published ports; default none. */
  bridge?: string
  /** Default `vfs`, which works on every file system and copies the whole image for each step of a build. */
  storageDriver?: 'vfs' | 'overlay2'
  /**
   * `classic`, the default: Debian's engine with a store of its own. `containerd`: the engine since Docker 29, `moby`, which
   * keeps images in containerd, here with its native snapshotter, and pushes and pulls by its code.
   */
  imageStore?: 'classic' | 'containerd'
  signal?: AbortSignal
}

/** A Docker engine of its own: private folders, no firewall rules. Without a bridge containers want `--network none` or `host`. */
export interface Dockerd {
  pid: number
  /** `unix://…`, for `DOCKER_HOST`. */
  host: string
  /** Runs `docker <args>` against this engine. `build` uses the classic builder, as the client may lack buildx. */
  docker(args: readonly string[], options?: RunOptions): Promise<RunResult>
  /** Makes an image of one layer, with a shell and all applets of busybox in `/bin`; default `busybox:local`. */
  importBusybox(tag?: string): Promise<string>
  /** Makes an image of one layer from a folder that is its root; gives the image's ID. */
  importFolder(folder: string, tag: string): Promise<string>
  logs(): string
  /** Stops the engine and all its containers, and removes its folders. Idempotent. */
  close(): Promise<void>
}

/** Fills `folder` with a root file system in which `/bin/sh` and the applets of busybox run. Needs no library. */
export async function makeBusyboxRoot(folder: string): Promise<void> {
  const bin = join(folder, 'bin')
  await mkdir(bin, { recursive: true })
  await mkdir(join(folder, 'tmp'), { recursive: true })
  // Not by mkdir, whose mode the umask cuts.
  await chmod(join(folder, 'tmp'), 0o1777)
  await mkdir(join(folder, 'etc'), { recursive: true })
  await writeFile(join(folder, 'etc', 'passwd'), 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n')
  await writeFile(join(folder, 'etc', 'group'), 'root:x:0:\nnogroup:x:65534:\n')
  await cp(requireTool('busybox'), join(bin, 'busybox'), { dereference: true })
  const applets = (await runTool('busybox', ['--list'])).stdout.split('\n').filter(name => /^[\w[.-]+$/.test(name))
  for (const applet of applets) if (applet !== 'busybox') await symlink('busybox', join(bin, applet))
}

/** Starts `dockerd` in a temporary folder. Needs root. Rejects, with nothing left behind, when it fails. */
export async function startDockerd(options: DockerdOptions = {}): Promise<Dockerd> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-dockerd-'))
  const host = `unix://${join(folder, 'docker.sock')}`
  const docker = (args: readonly string[], run: RunOptions = {}): Promise<RunResult> =>
    runTool('docker', args, { ...run, env: { DOCKER_HOST: host, DOCKER_BUILDKIT: '0', ...run.env } })
  let daemon: Daemon | undefined
  let containerd: Containerd | undefined
  const close = async (): Promise<void> => {
    await daemon?.stop()
    await containerd?.close()
    await endContainerd(join(folder, 'exec', 'containerd', 'containerd.pid'))
    await removeWithMounts(folder)
  }
  try {
    if (options.imageStore === 'containerd') containerd = await startContainerd(options)
    const args = [...dockerdArguments(folder, host, options), ...storeArguments(options, containerd)]
    daemon = await startDaemon(containerd === undefined ? 'dockerd' : 'moby', args, {
      ready: async signal => (await docker(['version'], { signal, timeout: 5_000 })).exitCode === 0,
      ...(options.signal && { signal: options.signal })
    })
  } catch (cause) {
    await close()
    throw cause
  }
  return { pid: daemon.pid, host, docker, logs: daemon.logs, close, ...imports(folder, docker) }
}

function dockerdArguments(folder: string, host: string, options: DockerdOptions): string[] {
  return [
    ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid')],
    // Keeps it off the machine's network.
    ...['--iptables=false', '--ip6tables=false'],
    ...['--bridge', options.bridge ?? 'none', '--host', host],
    ...(options.insecureRegistries ?? []).flatMap(registry => ['--insecure-registry', registry])
  ]
}

function storeArguments(options: DockerdOptions, containerd: Containerd | undefined): string[] {
  if (containerd === undefined) return ['--storage-driver', options.storageDriver ?? 'vfs']
  // Without a bridge there are no ports for the proxy, which a package would bring along.
  return ['--storage-driver', 'native', '--containerd', containerd.socket, '--userland-proxy=false']
}

function imports(folder: string, docker: Dockerd['docker']): Pick<Dockerd, 'importBusybox' | 'importFolder'> {
  let count = 0
  const importFolder = async (root: string, tag: string): Promise<string> => {
    count += 1
    const archive = join(folder, `import-${count}.tar`)
    // By name, not as `.`: the image's root is then 0755, whatever the mode of this folder.
    const entries = await readdir(root)
    await runTool('tar', ['-C', root, '--numeric-owner', '--owner=0', '--group=0', '-cf', archive, '--', ...entries])
    return (await docker(['import', archive, tag])).stdout.trim()
  }
  return {
    importFolder,
    async importBusybox(tag = 'busybox:local') {
      const root = await mkdtemp(join(folder, 'busybox-'))
      await makeBusyboxRoot(root)
      return await importFolder(root, tag)
    }
  }
}

/** The engine ends its own containerd, unless it was killed. */
async function endContainerd(pidFile: string): Promise<void> {
  const text = await readFile(pidFile, 'utf8').catch(() => '')
  const pid = Number.parseInt(text, 10)
  if (!Number.isSafeInteger(pid) || pid <= 1) return
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  if (command.includes(pidFile.slice(0, pidFile.lastIndexOf('/')))) process.kill(pid, 'SIGKILL')
}
