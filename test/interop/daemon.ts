import { type ChildProcess, spawn } from 'node:child_process'
import { basename } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { requireTool, type ToolName } from './find.ts'
import { commandLine, Tail, terminate, toolEnvironment } from './run.ts'

export interface DaemonOptions {
  /**
   * When the daemon can be used: a pattern that one line of its output matches, or a question asked every 100 ms until
   * it answers true (a rejection counts as "not yet"), given what was printed so far.
   */
  ready: RegExp | ((signal: AbortSignal, logs: string) => Promise<boolean>)
  /** Milliseconds it may take to get ready; default 60,000. */
  readyTimeout?: number
  /** Milliseconds between `SIGTERM` and `SIGKILL` in `stop`; default 20,000. */
  stopGrace?: number
  env?: Record<string, string>
  cwd?: string
  signal?: AbortSignal
}

export interface Daemon {
  pid: number
  /** The line that matched `ready`; empty where a question was asked. */
  readyLine: string
  /** The last 256 KiB of what it printed, both streams. */
  logs(): string
  /** Resolves when the process is gone, however that came, with its exit code or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>
  /** `SIGTERM`, later `SIGKILL`; resolves when the process is gone. Idempotent. */
  stop(): Promise<void>
  /** `SIGKILL`, as a crash would end it; resolves when the process is gone. Idempotent. */
  kill(): Promise<void>
}

const logLimit = 256 * 1024
const longestLine = 64 * 1024
const probeInterval = 100

const living = new Set<ChildProcess>()
// The last resort, when a worker exits without closing what it started.
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

/**
 * Starts a foreign program that runs until `stop`. Rejects, with its output in the message and nothing left running,
 * when it cannot be started, exits early, or is not ready in time.
 */
export async function startDaemon(name: ToolName, args: readonly string[], options: DaemonOptions): Promise<Daemon> {
  return await startProgram(requireTool(name), args, options)
}

/** {@link startDaemon} for any program, given by its path. */
export async function startProgram(path: string, args: readonly string[], options: DaemonOptions): Promise<Daemon> {
  options.signal?.throwIfAborted()
  const child = spawn(path, args, {
    env: toolEnvironment(options.env),
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  living.add(child)
  const exited = new Promise<number | NodeJS.Signals>(resolve => {
    const gone = (status: number | NodeJS.Signals): void => {
      living.delete(child)
      resolve(status)
    }
    child.once('exit', (code, killedBy) => gone(code ?? killedBy ?? 'SIGKILL'))
    // Only before it has started: what runs cannot be ended by this event.
    child.once('error', () => child.pid === undefined && gone(127))
  })
  const logs = new Tail(logLimit)
  try {
    const readyLine = await becomesReady(child, logs, options)
    const pid = child.pid
    if (pid === undefined) throw new Error('has no process')
    const stop = (): Promise<void> => terminate(child, options.stopGrace ?? 20_000)
    const kill = async (): Promise<void> => {
      child.kill('SIGKILL')
      await exited
    }
    return { pid, readyLine, logs: () => logs.toString(), exited, stop, kill }
  } catch (cause) {
    await terminate(child, options.stopGrace ?? 20_000)
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`${commandLine(basename(path), args)}: ${why}\n${logs}`.trimEnd(), { cause })
  }
}

async function becomesReady(child: ChildProcess, logs: Tail, options: DaemonOptions): Promise<string> {
  const { ready, readyTimeout = 60_000 } = options
  const settled = new AbortController()
  const signal = options.signal === undefined ? settled.signal : AbortSignal.any([options.signal, settled.signal])
  const line = Promise.withResolvers<string>()
  follow(child, logs, found => {
    if (ready instanceof RegExp && ready.test(found)) line.resolve(found)
  })
  const failed = new Promise<never>((_resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, killedBy) => reject(new Error(`ended with ${code ?? killedBy} before it was ready`)))
    options.signal?.addEventListener('abort', () => reject(options.signal?.reason), { signal: settled.signal })
    delay(readyTimeout, undefined, { signal: settled.signal }).then(
      () => reject(new Error(`not ready after ${readyTimeout} ms`)),
      () => {}
    )
  })
  try {
    return await Promise.race([ready instanceof RegExp ? line.promise : asked(ready, logs, signal), failed])
  } finally {
    settled.abort()
  }
}

async function asked(
  ready: (signal: AbortSignal, logs: string) => Promise<boolean>,
  logs: Tail,
  signal: AbortSignal
): Promise<string> {
  while (!signal.aborted) {
    if (await ready(signal, logs.toString()).catch(() => false)) return ''
    await delay(probeInterval, undefined, { signal }).catch(() => {})
  }
  return ''
}

function follow(child: ChildProcess, logs: Tail, onLine: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      logs.push(chunk)
      const lines = (rest + chunk).split('\n')
      rest = (lines.pop() ?? '').slice(-longestLine)
      for (const line of lines) onLine(line)
    })
  }
}
