import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startDaemon } from './daemon.ts'
import { type RunOptions, type RunResult, runTool } from './run.ts'

type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

export interface KuboOptions {
  /** Import profile, which decides the CIDs of `ipfs add`; default `unixfs-v1-2025`. */
  profile?: string
  /** `none` (default) knows only connected peers; `dht` gives IPNS and provider records among connected nodes. */
  routing?: 'none' | 'dht'
  /** Further configuration by dotted path: `{ 'HTTPRetrieval.Enabled': true }`. */
  settings?: Record<string, Json>
  signal?: AbortSignal
}

/** A running Kubo of its own, on loopback, that dials nobody it was not told about. */
export interface Kubo {
  pid: number
  peerId: string
  /** Where its swarm listens, each with `/p2p/<peer ID>`. */
  multiaddrs: string[]
  /** `http://127.0.0.1:<port>`, the RPC API. */
  api: string
  /** `http://127.0.0.1:<port>`, the gateway. */
  gateway: string
  /** Its repository, `IPFS_PATH`. */
  path: string
  /** Runs `ipfs <args>` against this daemon. */
  ipfs(args: readonly string[], options?: RunOptions): Promise<RunResult>
  /** `ipfs swarm connect`; the multiaddr ends in `/p2p/<peer ID>`. */
  connect(multiaddr: string, options?: RunOptions): Promise<void>
  /** The bytes of a file, in memory; for large ones use `ipfs(['cat', cid], { output })`. */
  cat(path: string, options?: RunOptions): Promise<Buffer>
  /** The CID that `ipfs add` would give this file or, recursively, this folder. Stores nothing. */
  addOnlyHash(path: string, options?: RunOptions): Promise<string>
  /** Adds a file or a folder and gives its CID. */
  add(path: string, options?: RunOptions): Promise<string>
  /** `ipfs get`: writes the file or folder to `target`. */
  get(path: string, target: string, options?: RunOptions): Promise<void>
  /** The last lines of the daemon's log. */
  logs(): string
  /** Stops the daemon and removes its repository. Idempotent. */
  close(): Promise<void>
}

function set(config: { [key: string]: Json }, path: string, value: Json): void {
  const [head = '', ...rest] = path.split('.')
  if (rest.length === 0) {
    config[head] = value
    return
  }
  const inner = config[head]
  const section = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? inner : {}
  config[head] = section
  set(section, rest.join('.'), value)
}

async function configure(path: string, options: KuboOptions): Promise<void> {
  const file = join(path, 'config')
  const config: { [key: string]: Json } = JSON.parse(await readFile(file, 'utf8'))
  const settings: Record<string, Json> = {
    'Addresses.API': '/ip4/127.0.0.1/tcp/0',
    'Addresses.Gateway': '/ip4/127.0.0.1/tcp/0',
    'Addresses.Swarm': ['/ip4/127.0.0.1/tcp/0'],
    'AutoConf.Enabled': false,
    'AutoNAT.ServiceMode': 'disabled',
    'AutoTLS.Enabled': false,
    Bootstrap: [],
    'Discovery.MDNS.Enabled': false,
    'DNS.Resolvers': {},
    'Ipns.DelegatedPublishers': [],
    'Routing.DelegatedRouters': [],
    'Routing.Type': options.routing ?? 'none',
    'Swarm.DisableNatPortMap': true,
    'Swarm.RelayClient.Enabled': false,
    'Version.SwarmCheckEnabled': false,
    ...options.settings
  }
  for (const [key, value] of Object.entries(settings)) set(config, key, value)
  await writeFile(file, JSON.stringify(config, null, 2))
}

const addressLine = (logs: string, server: string): string => {
  const port = new RegExp(`${server} server listening on /ip4/127\\.0\\.0\\.1/tcp/(\\d+)`).exec(logs)?.[1]
  if (port === undefined) throw new Error(`Kubo did not say where its ${server} server listens:\n${logs}`)
  return `http://127.0.0.1:${port}`
}

/** Starts a Kubo daemon with a new identity in a temporary folder. Rejects, with nothing left behind, when it fails. */
export async function startKubo(options: KuboOptions = {}): Promise<Kubo> {
  const path = await mkdtemp(join(tmpdir(), 'pinnace-kubo-'))
  const env = { IPFS_PATH: path, IPFS_TELEMETRY: 'off', DO_NOT_TRACK: '1' }
  const abort = options.signal === undefined ? {} : { signal: options.signal }
  const ipfs = (args: readonly string[], run: RunOptions = {}): Promise<RunResult> =>
    runTool('ipfs', args, { ...run, env: { ...env, ...run.env } })
  try {
    await ipfs(['init', `--profile=test,${options.profile ?? 'unixfs-v1-2025'}`], abort)
    await configure(path, options)
    const daemon = await startDaemon('ipfs', ['daemon'], { ready: /^Daemon is ready/, env, ...abort })
    const close = async (): Promise<void> => {
      await daemon.stop()
      await rm(path, { recursive: true, force: true })
    }
    try {
      const id: { ID: string; Addresses: string[] } = JSON.parse((await ipfs(['id'], abort)).stdout)
      return {
        pid: daemon.pid,
        peerId: id.ID,
        multiaddrs: id.Addresses,
        api: addressLine(daemon.logs(), 'RPC API'),
        gateway: addressLine(daemon.logs(), 'Gateway'),
        path,
        logs: daemon.logs,
        close,
        ipfs,
        ...commands(ipfs)
      }
    } catch (cause) {
      await close()
      throw cause
    }
  } catch (cause) {
    await rm(path, { recursive: true, force: true })
    throw cause
  }
}

function commands(ipfs: Kubo['ipfs']): Pick<Kubo, 'connect' | 'cat' | 'addOnlyHash' | 'add' | 'get'> {
  const add = async (args: string[], options?: RunOptions): Promise<string> =>
    (await ipfs(['add', '--recursive', '--quieter', ...args], options)).stdout.trim()
  return {
    async connect(multiaddr, options) {
      await ipfs(['swarm', 'connect', multiaddr], options)
    },
    async cat(path, options) {
      return (await ipfs(['cat', path], options)).bytes
    },
    addOnlyHash: (path, options) => add(['--only-hash', '--hidden', path], options),
    add: (path, options) => add(['--hidden', path], options),
    async get(path, target, options) {
      await ipfs(['get', path, '--output', target], options)
    }
  }
}
