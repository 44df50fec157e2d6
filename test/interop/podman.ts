import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeWithMounts } from './mounts.ts'
import { type RunOptions, type RunResult, runTool } from './run.ts'

/** Podman with a storage of its own. It has no daemon: nothing runs between two commands. */
export interface Podman {
  /** A temporary folder, free for the test's own files too. */
  folder: string
  /** Runs `podman <args>`. Pushing and pulling want `--tls-verify=false`, `run` and `build` `--network none`. */
  podman(args: readonly string[], options?: RunOptions): Promise<RunResult>
  /** Removes the folder with everything that was pulled or built. Idempotent. */
  close(): Promise<void>
}

/** Makes the folders; needs root to run containers. */
export async function makePodman(): Promise<Podman> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-podman-'))
  const config = join(folder, 'containers.conf')
  // Podman raises the limits of a container above its own, which root without CAP_SYS_RESOURCE may not.
  await writeFile(config, '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n')
  const storage = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs']
  return {
    folder,
    podman: (args, options = {}) =>
      runTool('podman', [...storage, '--cgroup-manager', 'cgroupfs', ...args], {
        ...options,
        env: { CONTAINERS_CONF: config, ...options.env }
      }),
    close: () => removeWithMounts(folder)
  }
}
