import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
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

export interface PodmanOptions {
  /**
   * Of a layer of `zstd:chunked` it pulls the files only that it has not: with the overlay driver, on a file system in
   * memory, because overlays do not go onto the overlay that the tests may be running on. Needs `mount`.
   */
  partialPulls?: boolean
}

/** Makes the folders; needs root to run containers. */
export async function makePodman({ partialPulls = false }: PodmanOptions = {}): Promise<Podman> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-podman-'))
  const config = join(folder, 'containers.conf')
  // Podman raises the limits of a container above its own, which root without CAP_SYS_RESOURCE may not.
  await writeFile(config, '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n')
  const env: Record<string, string> = { CONTAINERS_CONF: config }
  const [root, run] = [join(folder, 'storage'), join(folder, 'run')]
  let storage = ['--root', root, '--runroot', run, '--storage-driver', 'vfs']
  if (partialPulls) {
    await mkdir(root)
    await runTool('mount', ['-t', 'tmpfs', '-o', 'size=256m', 'pinnace-test', root])
    env.CONTAINERS_STORAGE_CONF = join(folder, 'storage.conf')
    const pull = 'pull_options = {enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}'
    const file = `[storage]\ndriver = "overlay"\ngraphroot = "${root}"\nrunroot = "${run}"\n[storage.options]\n${pull}\n`
    await writeFile(env.CONTAINERS_STORAGE_CONF, file)
    // Options of the command line would replace those of the file.
    storage = []
  }
  return {
    folder,
    podman: (args, options = {}) =>
      runTool('podman', [...storage, '--cgroup-manager', 'cgroupfs', ...args], {
        ...options,
        env: { ...env, ...options.env }
      }),
    close: () => removeWithMounts(folder)
  }
}
