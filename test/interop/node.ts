import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { get as getSecurely } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Daemon, startProgram } from './daemon.ts'
import { type RunOptions, type RunResult, runProgram } from './run.ts'

type Json = string | number | boolean | null | Json[] | { [key: string]: Json }
type Section = { [key: string]: Json }

export interface PinnaceOptions {
  /** Laid over the configuration of {@link startPinnace}, section by section; lists and scalars replace. */
  config?: Section
  /** Added to a bare environment: `{ REGISTRY_LOG_LEVEL: 'debug' }`. */
  env?: Record<string, string>
  /** A folder to start on, kept by `close`; default: a new one, removed by `close`. */
  dataDir?: string
  /** Milliseconds until `/readyz` has to answer; default 60,000. */
  readyTimeout?: number
  /** Path of a script to run instead of `pinnace serve`, with the configuration file as its argument. */
  entry?: string
  /** `src/main.ts` of another checkout of this project, to run instead of this one's. */
  main?: string
  signal?: AbortSignal
}

/** A real node in a process of its own, on loopback. */
export interface Pinnace {
  /** `127.0.0.1:<port>`, what stands before an image's name. The same after `restart`. */
  readonly host: string
  /** `http://<host>`, or `https://` where the configuration has a certificate. */
  readonly url: string
  readonly dataDir: string
  /** Of the process that was started last. */
  readonly pid: number
  /** What the process that was started last printed, the last 256 KiB. */
  logs(): string
  /** Who the running node is among IPFS peers, as `pinnace id` tells; each multiaddr ends in `/p2p/<peer ID>`. */
  id(options?: RunOptions): Promise<{ peerId: string; multiaddrs: string[] }>
  /** Runs `pinnace <args> --data <dataDir>`, beside the node or, when it is stopped, on the folder. */
  pinnace(args: readonly string[], options?: RunOptions): Promise<RunResult>
  /** `SIGTERM`, and waits; gives the exit code, or the signal where the drain took too long. Idempotent. */
  stop(): Promise<number | NodeJS.Signals>
  /** `SIGKILL`, as a crash would end it, and waits. Idempotent. */
  kill(): Promise<void>
  /**
   * Stops the process if it runs, and starts another on the same data and port; `config` and `env` are laid over those
   * of the first start.
   */
  restart(options?: Pick<PinnaceOptions, 'config' | 'env' | 'readyTimeout' | 'signal'>): Promise<void>
  /**
   * Writes the configuration file anew under the running process, `config` laid over that of the first start, and waits until
   * the node says that it is in force. It has to differ from what is.
   */
  reconfigure(config: Section): Promise<void>
  /** Stops the process and removes the data folder if it was made here. Idempotent. */
  close(): Promise<void>
}

const ownMain = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/**
 * Starts `pinnace serve` with deletion on, the registry and IPFS on free ports of loopback, and waits until it is
 * ready. Rejects, with what it printed in the message and nothing left behind, when it is not.
 */
export async function startPinnace(options: PinnaceOptions = {}): Promise<Pinnace> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-node-'))
  const dataDir = options.dataDir ?? join(folder, 'data')
  try {
    const first = await serve(folder, overlay(defaults(dataDir), options.config ?? {}), options)
    return new RunningPinnace(folder, dataDir, options, first)
  } catch (cause) {
    await rm(folder, { recursive: true, force: true })
    throw cause
  }
}

interface Serving {
  daemon: Daemon
  url: URL
}

class RunningPinnace implements Pinnace {
  readonly dataDir: string
  readonly #folder: string
  readonly #options: PinnaceOptions
  #serving: Serving

  constructor(folder: string, dataDir: string, options: PinnaceOptions, serving: Serving) {
    this.dataDir = dataDir
    this.#folder = folder
    this.#options = options
    this.#serving = serving
  }

  get host(): string {
    return this.#serving.url.host
  }

  get url(): string {
    return this.#serving.url.origin
  }

  get pid(): number {
    return this.#serving.daemon.pid
  }

  logs(): string {
    return this.#serving.daemon.logs()
  }

  async pinnace(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const env = { ...this.#options.env, ...options.env }
    const { main = ownMain } = this.#options
    return await runProgram(process.execPath, [main, ...args, '--data', this.dataDir], { ...options, env })
  }

  async id(options?: RunOptions): Promise<{ peerId: string; multiaddrs: string[] }> {
    return JSON.parse((await this.pinnace(['id', '--json'], options)).stdout)
  }

  async stop(): Promise<number | NodeJS.Signals> {
    await this.#serving.daemon.stop()
    return await this.#serving.daemon.exited
  }

  async kill(): Promise<void> {
    await this.#serving.daemon.kill()
  }

  async restart(options: Pick<PinnaceOptions, 'config' | 'env' | 'readyTimeout' | 'signal'> = {}): Promise<void> {
    await this.stop()
    const config = overlay(onPort(this.#first, this.#serving.url.port), options.config ?? {})
    const { signal: _ofTheFirst, ...kept } = this.#options
    const env = { ...this.#options.env, ...options.env }
    this.#serving = await serve(this.#folder, config, { ...kept, ...options, env })
  }

  async reconfigure(config: Section): Promise<void> {
    const told = () => this.logs().split('in force from the next request on').length
    const before = told()
    await writeConfig(this.#folder, overlay(this.#first, config))
    const deadline = AbortSignal.timeout(15_000)
    while (told() === before) await wait(20, undefined, { signal: deadline })
  }

  /** The configuration of the first start. */
  get #first(): Section {
    return overlay(defaults(this.dataDir), this.#options.config ?? {})
  }

  async close(): Promise<void> {
    await this.stop()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

function defaults(dataDir: string): Section {
  return {
    version: 0.1,
    storage: { filesystem: { rootdirectory: dataDir }, delete: { enabled: true } },
    http: { addr: '127.0.0.1:0' },
    ipfs: { listen: ['/ip4/127.0.0.1/tcp/0'] }
  }
}

const isSection = (value: Json | undefined): value is Section =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function overlay(base: Section, over: Section): Section {
  const merged = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key]
    merged[key] = isSection(below) && isSection(value) ? overlay(below, value) : value
  }
  return merged
}

/** An image's name holds the port, so another process on the same data should have the same. */
function onPort(config: Section, port: string): Section {
  const addr = isSection(config.http) ? config.http.addr : undefined
  return typeof addr === 'string' ? overlay(config, { http: { addr: addr.replace(/:0$/, `:${port}`) } }) : config
}

async function writeConfig(folder: string, config: Section): Promise<string> {
  const file = join(folder, 'config.yml')
  // JSON is YAML.
  await writeFile(file, JSON.stringify(config, null, 2))
  return file
}

async function serve(folder: string, config: Section, options: PinnaceOptions): Promise<Serving> {
  const file = await writeConfig(folder, config)
  const scheme = isSection(config.http) && config.http.tls !== undefined ? 'https' : 'http'
  const prefix = isSection(config.http) && typeof config.http.prefix === 'string' ? config.http.prefix : '/'
  let found: URL | undefined
  const command = options.entry === undefined ? [options.main ?? ownMain, 'serve', file] : [options.entry, file]
  const daemon = await startProgram(process.execPath, command, {
    async ready(signal, logs) {
      for (const url of addressesIn(logs, scheme)) {
        if (!(await isReadyRegistry(url, prefix, signal).catch(() => false))) continue
        found = url
        return true
      }
      return false
    },
    stopGrace: 45_000,
    ...(options.readyTimeout !== undefined && { readyTimeout: options.readyTimeout }),
    ...(options.env && { env: options.env }),
    ...(options.signal && { signal: options.signal })
  })
  if (found === undefined) throw new Error('ready, but nowhere')
  return { daemon, url: found }
}

/** Port 0 is any port: the log tells which. What else it names (peers, a debug listener) is found out by asking. */
function addressesIn(logs: string, scheme: 'http' | 'https'): URL[] {
  const ports = logs.matchAll(/(?:127\.0\.0\.1|0\.0\.0\.0|\[::\]|localhost):(\d{2,5})\b/g)
  return [...new Set([...ports].map(match => match[1]))].map(port => new URL(`${scheme}://127.0.0.1:${port}`))
}

async function isReadyRegistry(url: URL, prefix: string, signal: AbortSignal): Promise<boolean> {
  const base = await head(new URL(`${prefix}v2/`, url), signal)
  if (base.headers['docker-distribution-api-version'] === undefined) return false
  return (await head(new URL('/readyz', url), signal)).statusCode === 200
}

type Head = { statusCode: number | undefined; headers: Record<string, string | string[] | undefined> }

async function head(url: URL, signal: AbortSignal): Promise<Head> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(5_000)])
  const { promise, resolve, reject } = Promise.withResolvers<Head>()
  const options = { signal: limited, agent: false, rejectUnauthorized: false }
  const request = url.protocol === 'https:' ? getSecurely(url, options) : get(url, options)
  request.once('error', reject)
  request.once('response', response => {
    response.resume()
    resolve({ statusCode: response.statusCode, headers: response.headers })
  })
  return await promise
}
