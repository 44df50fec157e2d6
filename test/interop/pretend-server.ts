import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Daemon, startProgram } from './daemon.ts'
import { type RunResult, runProgram, toolEnvironment } from './run.ts'

const repository = fileURLToPath(new URL('../../', import.meta.url))

/** Folders of the document that lie in a temporary folder here. */
const moved = ['/etc/pinnace', '/etc/systemd', '/var/lib/pinnace', '/usr/local/bin', '/opt/pinnace']

/**
 * Commands that would change this machine. Each does less than its name says: nothing, or the same without another user.
 * `node` is the one that runs the tests.
 */
const replaced: Record<string, string> = {
  'apt-get': 'exit 0',
  chown: 'exit 0',
  npm: 'exit 0',
  useradd: 'exit 0',
  install: `args=(); while (($#)); do case $1 in -o | -g) shift 2 ;; *) args+=("$1"); shift ;; esac; done
exec /usr/bin/install "\${args[@]}"`,
  runuser: '[[ $1 == -u && $3 == -- ]] && shift 3 && exec "$@"',
  systemctl: 'printf "%s\\n" "$*" >>"$PRETEND_ROOT/systemctl"'
}

export interface PretendServerOptions {
  /** Replaced in the text of every block, each wherever it stands. */
  substitutions: Readonly<Record<string, string>>
  /** Environment of the service. */
  env: Record<string, string>
}

/** A folder in which a document's commands for a server run as if it were the machine. */
export interface PretendServer {
  /** As the document has it: `/etc/pinnace/config.yml`. */
  writeFile(path: string, text: string): Promise<void>
  /**
   * Runs a block in bash.
   *
   * @param input - what somebody types where a password is asked for
   */
  run(script: string, input?: string): Promise<RunResult>
  /** Starts what a unit says, as systemd would, and waits for the line that matches. */
  startUnit(path: string, ready: RegExp): Promise<Daemon>
  close(): Promise<void>
}

export async function makePretendServer(options: PretendServerOptions): Promise<PretendServer> {
  const root = await mkdtemp(join(tmpdir(), 'pinnace-pretend-'))
  const bin = join(root, 'bin')
  const here = (text: string): string => {
    const placed = moved.reduce((rest, folder) => rest.replaceAll(folder, `${root}${folder}`), text)
    return Object.entries(options.substitutions).reduce((rest, [from, to]) => rest.replaceAll(from, to), placed)
  }
  const command = async (path: string, script: string): Promise<void> => {
    await mkdir(dirname(path), { recursive: true })
    await rm(path, { force: true })
    await writeFile(path, `#!/bin/bash\n${script}\n`)
    await chmod(path, 0o755)
  }
  for (const [name, script] of Object.entries(replaced)) await command(join(bin, name), script)
  await mkdir(join(root, 'opt'))
  await symlink(repository, join(root, 'opt', 'pinnace'))
  // Without a build: the command is the sources, whatever the document links.
  const pinnace = join(root, 'usr', 'local', 'bin', 'pinnace')
  const sources = `exec ${process.execPath} ${join(repository, 'src', 'main.ts')} "$@"`
  await mkdir(dirname(pinnace), { recursive: true })
  const path = [bin, dirname(pinnace), toolEnvironment().PATH ?? ''].join(delimiter)
  const env = { ...options.env, PATH: path, PRETEND_ROOT: root }
  return {
    writeFile: async (file, text) => {
      await mkdir(dirname(here(file)), { recursive: true })
      await writeFile(here(file), here(text))
    },
    run: async (script, input) => {
      const result = await runProgram('/bin/bash', ['-eo', 'pipefail', '-c', here(script)], {
        env,
        cwd: root,
        ...(input !== undefined && { input })
      })
      await command(pinnace, sources)
      return result
    },
    startUnit: async (file, ready) => {
      const unit = await readFile(here(file), 'utf8')
      const [program = '', ...args] = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(' ') ?? []
      return startProgram(program, args, { ready, env, stopGrace: 45_000 })
    },
    close: () => rm(root, { recursive: true, force: true })
  }
}
