import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect } from 'vitest'
import { clockAndPlace } from '../clock-and-place.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface Started {
  child: ChildProcess
  /** What it has written so far. */
  stdout(): string
  stderr(): string
  /** Resolves when standard output matches, rejects when the process ends before. */
  until(pattern: RegExp): Promise<RegExpExecArray>
  /** The same for standard error. */
  untilError(pattern: RegExp): Promise<RegExpExecArray>
  /** Exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>
}

export interface Finished {
  code: number | NodeJS.Signals
  stdout: string
  stderr: string
}

const living = new Set<ChildProcess>()
/** Of the test that runs. */
const all: Pick<Started, 'child' | 'stdout' | 'stderr'>[] = []
const folders = new Set<string>()

afterEach(async ({ task }) => {
  // What a process ended with, and said, is often the only sign of why a test failed.
  if (task.result?.state === 'fail') for (const started of all) console.error(lastWords(started))
  all.length = 0
  for (const child of living) child.kill('SIGKILL')
  await Promise.all([...living].map(child => once(child, 'close')))
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
  folders.clear()
})

function lastWords({ child, stdout, stderr }: (typeof all)[number]): string {
  const end = child.exitCode ?? child.signalCode ?? 'still running'
  return `process ${child.pid} (${child.spawnargs.slice(2).join(' ')}): ${end}\n${stdout()}${stderr()}`
}

/** What `ls` ends with on a node that has nothing. */
export const emptyList = { code: 0, stdout: '', stderr: expect.stringMatching(/^nothing is here yet: .*\n$/) }

/** A folder removed after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-cli-'))
  folders.add(folder)
  return folder
}

export interface StartOptions {
  /** The user it runs as, whose group has the same number. Default: that of the tests. */
  uid?: number
  /** What it is started by, e.g. `['unshare', '--pid']`. */
  by?: readonly string[]
}

/** The real command in a process of its own, with a bare environment: free ports of loopback, nobody's home. */
export function start(
  args: readonly string[],
  env: Record<string, string> = {},
  { uid, by = [] }: StartOptions = {}
): Started {
  const [program = '', ...words] = [...by, process.execPath, main, ...args]
  const child = spawn(program, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
    env: {
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent',
      TMPDIR: tmpdir(),
      ...clockAndPlace(),
      REGISTRY_HTTP_ADDR: '127.0.0.1:0',
      REGISTRY_IPFS_LISTEN: '[/ip4/127.0.0.1/tcp/0]',
      ...env
    }
  })
  living.add(child)
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', text => {
    output.stdout += text
    child.emit('written')
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    output.stderr += text
    child.emit('written')
  })
  const ended = new Promise<number | NodeJS.Signals>(settle => {
    child.once('close', (code, signal) => {
      living.delete(child)
      settle(code ?? signal ?? 'SIGKILL')
    })
  })
  const matching = (stream: keyof typeof output) => (pattern: RegExp) =>
    new Promise<RegExpExecArray>((settle, reject) => {
      const look = () => {
        const match = pattern.exec(output[stream])
        if (match !== null) settle(match)
      }
      child.on('written', look)
      child.once('close', () => reject(new Error(`ended without ${pattern}:\n${output.stdout}${output.stderr}`)))
      look()
    })
  const said = { child, stdout: () => output.stdout, stderr: () => output.stderr }
  all.push(said)
  return {
    ...said,
    ended,
    until: matching('stdout'),
    untilError: matching('stderr')
  }
}

export async function run(
  args: readonly string[],
  env: Record<string, string> = {},
  options?: StartOptions
): Promise<Finished> {
  const started = start(args, env, options)
  const code = await started.ended
  return { code, stdout: started.stdout(), stderr: started.stderr() }
}

export interface Serving extends Started {
  url: string
  dataDir: string
}

/** `pinnace serve`, listening. */
export async function serve(
  dataDir: string,
  env: Record<string, string> = {},
  options?: StartOptions
): Promise<Serving> {
  const started = start(['serve', '--data', dataDir], env, options)
  const [, url = ''] = await started.until(/Registry {3}(http\S+)\n/)
  return { ...started, url, dataDir }
}

/** SIGTERM, and its exit code. */
export async function stop({ child, ended }: Started): Promise<number | NodeJS.Signals> {
  child.kill('SIGTERM')
  return ended
}
