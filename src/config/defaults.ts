import { availableParallelism } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { readDuration } from './duration.ts'
import type { Environment } from './environment.ts'
import type { Node } from './tree.ts'

/** What the defaults depend on. */
export interface Circumstances {
  /** The file's tree before the environment, when there is a file. */
  file: Node | undefined
  /** The data folder given on the command line. */
  dataDir: string | undefined
  environment: Environment
}

/** Where distribution keeps its data when `storage.filesystem` does not say. */
const distributionFolder = '/var/lib/registry'

/** Of `ipfs.limits.sockets`. */
export const defaultSockets = 4096

/** Fills in, in `config`, the defaults that are no constants; the others are in the schema. */
export function fillDefaults(config: Record<string, unknown>, circumstances: Circumstances): void {
  const hasFile = circumstances.file !== undefined
  const { dataDir } = circumstances
  const log = sectionOf(config, 'log')
  if (log !== undefined && config.loglevel !== undefined) {
    log.level ??= config.loglevel
    Reflect.deleteProperty(config, 'loglevel')
  }
  const http = sectionOf(config, 'http')
  if (http !== undefined) http.relativeurls ??= http.host === undefined

  const filesystem = sectionOf(config, 'storage', 'filesystem')
  if (filesystem !== undefined) {
    filesystem.rootdirectory = dataDir ?? filesystem.rootdirectory ?? defaultFolder(circumstances)
    if (typeof filesystem.maxthreads === 'number') filesystem.maxthreads = Math.max(25, filesystem.maxthreads)
  }
  const deletion = sectionOf(config, 'storage', 'delete')
  if (deletion !== undefined) deletion.enabled ??= !hasFile

  const gc = sectionOf(config, 'ipfs', 'gc')
  if (gc?.deleteuntagged === true) {
    const { grace = '24h' } = gc
    // A grace that is none is told of itself.
    if (typeof grace === 'string' && readDuration(grace) !== undefined) gc.untagged ??= grace
  }

  const check = sectionOf(config, 'health', 'storagedriver')
  if (check !== undefined) {
    check.enabled ??= !hasFile
    check.threshold ||= hasFile ? 1 : 3
  }
  fillLimits(config)
}

function fillLimits(config: Record<string, unknown>): void {
  const limits = sectionOf(config, 'ipfs', 'limits')
  if (limits !== undefined) limits.hashing ??= Math.min(256, Math.max(1, availableParallelism() - 1))
  const client = sectionOf(config, 'ipfs', 'limits', 'client')
  const sockets = typeof limits?.sockets === 'number' ? limits.sockets : defaultSockets
  if (client !== undefined) client.connections ??= Math.ceil(sockets / 2)
}

/** The section at a path, made when it is missing; `undefined` when something of another kind stands there. */
function sectionOf(config: Record<string, unknown>, ...path: string[]): Record<string, unknown> | undefined {
  let section = config
  for (const key of path) {
    section[key] ??= {}
    const next = section[key]
    if (!isRecord(next)) return undefined
    section = next
  }
  return section
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The XDG data folder; but a file that names the filesystem driver gets that driver's default. */
function defaultFolder({ file, environment }: Circumstances): string | undefined {
  const storage = file?.kind === 'map' ? file.entries.get('storage') : undefined
  if (storage?.kind === 'map' && storage.entries.has('filesystem')) return distributionFolder
  return dataHome(environment)
}

/** `$XDG_DATA_HOME/pinnace`, else `~/.local/share/pinnace`; relative values are to be ignored, says the XDG specification. */
export function dataHome(environment: Environment): string | undefined {
  const xdg = environment.XDG_DATA_HOME
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, 'pinnace')
  const home = environment.HOME
  return home !== undefined && isAbsolute(home) ? join(home, '.local', 'share', 'pinnace') : undefined
}
