import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, join } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { clockAndPlace } from '../clock-and-place.ts'
import { requireTool, type ToolName, toolFolders } from './find.ts'

export interface RunOptions {
  /** Added to the bare environment of {@link toolEnvironment}. */
  env?: Record<string, string>
  /** Default: the folder of this process. */
  cwd?: string
  /** Milliseconds until the program is ended and the promise rejects; default 120,000. */
  timeout?: number
  signal?: AbortSignal
  /** Standard input; default: none, the program reads an end of file at once. */
  input?: string | Uint8Array | Readable
  /**
   * Takes standard output instead of memory, with backpressure, and is ended: a file, or a `Hash`, whose digest `read()`
   * then gives. The result's `stdout` is empty.
   */
  output?: Writable
  /** Bytes of standard output kept in memory, default 16 MiB; more is an error, never a silent cut. */
  maxOutput?: number
  /** Exit codes that are not an error; default `[0]`. */
  exitCodes?: readonly number[]
}

export interface RunResult {
  /** Standard output as UTF-8. */
  stdout: string
  /** Standard output as it came. */
  bytes: Buffer
  /** The last 64 KiB of standard error. */
  stderr: string
  exitCode: number
}

const stderrLimit = 64 * 1024
const killGrace = 5_000

let home: string | undefined

// Vitest ends its workers by SIGTERM, and a process that a signal ends never sees its `exit` event: no folder would be
// removed and no daemon stopped there.
if (process.env.VITEST !== undefined) process.once('SIGTERM', () => process.exit(143))

/**
 * The whole environment of a foreign program: a `PATH` that finds the pinned tools first, and a home of its own for the
 * life of this process. A developer's credentials, mirrors and proxies neither help nor hurt, nor are they changed.
 */
export function toolEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  if (home === undefined) {
    const created = mkdtempSync(join(tmpdir(), 'pinnace-home-'))
    process.once('exit', () => rmSync(created, { recursive: true, force: true }))
    home = created
  }
  return {
    PATH: toolFolders().join(delimiter),
    HOME: home,
    TMPDIR: tmpdir(),
    LANG: 'C.UTF-8',
    TZ: 'UTC',
    ...clockAndPlace(),
    ...extra
  }
}

/** Ends a process by `SIGTERM`, by `SIGKILL` after `grace` milliseconds, and waits until it is gone. */
export async function terminate(child: ChildProcess, grace: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), grace)
  await gone
  clearTimeout(timer)
}

/** Keeps the last `limit` bytes that were written, roughly: never more than twice as many. */
export class Tail {
  readonly #limit: number
  #text = ''

  constructor(limit: number) {
    this.#limit = limit
  }

  push(chunk: string): void {
    this.#text += chunk
    if (this.#text.length > this.#limit * 2) this.#text = this.#text.slice(-this.#limit)
  }

  toString(): string {
    return this.#text.slice(-this.#limit)
  }
}

function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`
}

/** The command as one would type it, for messages. */
export function commandLine(name: string, args: readonly string[]): string {
  return [name, ...args].map(quoted).join(' ')
}

async function collect(stream: Readable, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limit) throw new Error(`wrote more than ${limit} bytes to standard output`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

async function feed(stdin: Writable, input: RunOptions['input']): Promise<void> {
  const source = input instanceof Readable ? input : Readable.from(input === undefined ? [] : [Buffer.from(input)])
  try {
    await pipeline(source, stdin)
  } catch (cause) {
    // A program may stop reading when it knows enough; its exit code tells whether that was right.
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code !== 'EPIPE' && code !== 'ERR_STREAM_PREMATURE_CLOSE' && code !== 'ECONNRESET') throw cause
  }
}

/**
 * Runs a foreign program to its end. Rejects with an `Error` that shows the command and what it printed when it cannot
 * be started, exits with a code not in `exitCodes`, dies of a signal, or is ended by the timeout or the signal (its
 * reason is the `cause`).
 */
export async function runTool(name: ToolName, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return await runProgram(requireTool(name), args, options)
}

/** {@link runTool} for any program, given by its path. */
export async function runProgram(path: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const timeout = AbortSignal.timeout(options.timeout ?? 120_000)
  const signal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout])
  signal.throwIfAborted()
  const child = spawn(path, args, {
    env: toolEnvironment(options.env),
    cwd: options.cwd,
    stdio: ['pipe', 'pipe', 'pipe']
  })
  const exit = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, killedBy) => resolve(code ?? killedBy ?? 'SIGKILL'))
  })
  const stderr = new Tail(stderrLimit)
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => stderr.push(chunk))
  const onAbort = (): void => {
    // A grandchild may still hold the pipes open: once its parent is gone nobody waits for it.
    void terminate(child, killGrace).then(() => child.stdout.destroy())
  }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const stdout = options.output
      ? pipeline(child.stdout, options.output).then(() => Buffer.alloc(0))
      : collect(child.stdout, options.maxOutput ?? 16 * 1024 * 1024)
    const [bytes, status] = await Promise.all([stdout, exit, feed(child.stdin, options.input)])
    signal.throwIfAborted()
    if (typeof status !== 'number' || !(options.exitCodes ?? [0]).includes(status)) {
      throw new Error(`ended with ${status}\n${tailOf(bytes)}`)
    }
    return { stdout: bytes.toString(), bytes, stderr: stderr.toString(), exitCode: status }
  } catch (cause) {
    await terminate(child, killGrace)
    // An abort shows in many ways, a pipe that closed early for one; the reason says it best.
    const reason: unknown = signal.aborted ? signal.reason : cause
    const why = reason instanceof Error ? reason.message : String(reason)
    throw new Error(`${commandLine(basename(path), args)}: ${why}\n${stderr}`.trimEnd(), { cause: reason })
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function tailOf(bytes: Buffer): string {
  return bytes.subarray(-4096).toString()
}
