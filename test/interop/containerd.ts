import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Daemon, startDaemon } from './daemon.ts'
import { removeWithMounts } from './mounts.ts'
import { type RunOptions, type RunResult, runTool } from './run.ts'

/** A containerd of its own, whose images are unpacked by copying (`--snapshotter native`). */
export interface Containerd {
  pid: number
  /** Path of its socket. */
  socket: string
  /** Runs `ctr <args>` against it; the native snapshotter is the default. */
  ctr(args: readonly string[], options?: RunOptions): Promise<RunResult>
  logs(): string
  /** Stops it and removes its folders. Idempotent. */
  close(): Promise<void>
}

/** Starts `containerd` in a temporary folder. Needs root. Rejects, with nothing left behind, when it fails. */
export async function startContainerd(options: { signal?: AbortSignal } = {}): Promise<Containerd> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-containerd-'))
  const socket = join(folder, 'containerd.sock')
  const config = join(folder, 'config.toml')
  const ctr = (args: readonly string[], run: RunOptions = {}): Promise<RunResult> =>
    runTool('ctr', ['--address', socket, ...args], {
      ...run,
      env: { CONTAINERD_SNAPSHOTTER: 'native', ...run.env }
    })
  let daemon: Daemon | undefined
  const close = async (): Promise<void> => {
    await daemon?.stop()
    await removeWithMounts(folder)
  }
  try {
    await writeFile(config, configuration(folder, socket))
    daemon = await startDaemon('containerd', ['--config', config], {
      ready: async signal => (await ctr(['version'], { signal, timeout: 5_000 })).exitCode === 0,
      ...(options.signal && { signal: options.signal })
    })
  } catch (cause) {
    await close()
    throw cause
  }
  return { pid: daemon.pid, socket, ctr, logs: daemon.logs, close }
}

/** Everything in one folder; without Kubernetes' interface and the snapshotters that need a special file system. */
function configuration(folder: string, socket: string): string {
  const disabled = [
    'io.containerd.grpc.v1.cri',
    ...['aufs', 'btrfs', 'devmapper', 'overlayfs', 'zfs'].map(name => `io.containerd.snapshotter.v1.${name}`)
  ]
  return `version = 2
root = ${JSON.stringify(join(folder, 'root'))}
state = ${JSON.stringify(join(folder, 'state'))}
disabled_plugins = ${JSON.stringify(disabled)}

[grpc]
  address = ${JSON.stringify(socket)}

[ttrpc]
  address = ${JSON.stringify(`${socket}.ttrpc`)}

[plugins."io.containerd.internal.v1.opt"]
  path = ${JSON.stringify(join(folder, 'opt'))}
`
}
