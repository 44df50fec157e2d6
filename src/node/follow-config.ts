import { stat } from 'node:fs/promises'
import type { AuditLog } from '../access/ports.ts'
import { asksWho, type Config, ConfigError, changedKeys, type LoadedConfig } from '../config.ts'
import { type FileWatchTimes, openFileWatch } from '../file-watch.ts'
import type { Log } from '../registry/ports.ts'
import type { NodeAccess } from './access.ts'

/** Keys that count as soon as they are written. */
const liveKeys: ReadonlySet<string> = new Set(['access', 'immutable'] satisfies (keyof Config)[])

/** Where the configuration came from. */
export interface ConfigFile extends FileWatchTimes {
  path: string
  /** Told at the start already. */
  warnings: readonly string[]
  /**
   * Reads it again, with the environment and the command line of the start.
   *
   * @throws {ConfigError}
   */
  load(): Promise<LoadedConfig>
}

export interface FollowConfigComponents {
  access: NodeAccess
  log: Log
  audit?: AuditLog
}

/**
 * Follows the configuration file: `access` and `immutable` count from the next request on, so that what is taken from
 * somebody is gone without a restart. A version that cannot be used leaves the last good one in force.
 */
export async function followConfig(
  started: Config,
  file: ConfigFile,
  components: FollowConfigComponents
): Promise<{ close(): Promise<void> }> {
  // A pipe can be read once.
  if (!(await isFile(file.path))) return { close: async () => {} }
  const follower = new Follower(started, file, components)
  const watch = await openFileWatch(components, { ...file, paths: [file.path], changed: () => follower.read() })
  // What changed since the start read it.
  await follower.read()
  watch.start()
  return watch
}

class Follower {
  readonly #started: Config
  readonly #file: ConfigFile
  readonly #components: FollowConfigComponents
  #inForce: Config
  #told: ReadonlySet<string>

  constructor(started: Config, file: ConfigFile, components: FollowConfigComponents) {
    this.#started = started
    this.#inForce = started
    this.#file = file
    this.#told = new Set(file.warnings)
    this.#components = components
  }

  async read(): Promise<void> {
    const { path, load } = this.#file
    if (!(await isFile(path))) return this.#refuse(['it is no file, or gone'])
    try {
      const { config, warnings } = await load()
      this.#follow(config, warnings)
    } catch (error) {
      this.#refuse(error instanceof ConfigError ? error.problems.map(({ message }) => message) : [String(error)])
    }
  }

  #follow(next: Config, warnings: readonly string[]): void {
    const { log, access, audit } = this.#components
    const { path: file } = this.#file
    const live = withLiveKeys(this.#started, next)
    if (asksWho(live) !== asksWho(this.#started)) {
      this.#refuse(['whether callers are asked who they are is decided at the start: start the node again'])
      return
    }
    const changed = changedKeys(this.#inForce, live)
    if (changed.length > 0) {
      access.follow(live)
      this.#inForce = live
      log.info({ file, keys: changed }, 'the configuration changed: in force from the next request on')
      audit?.record({ subject: 'operator', action: 'config', reference: changed.join(' '), outcome: 'allowed' })
    }
    const later = changedKeys(this.#started, next).filter(key => !liveKeys.has(key))
    const advice = later.map(key => `${file}: ${key} changed, which counts from the next start on`)
    this.#tell([...warnings, ...advice])
  }

  /** Once each, while they are true. */
  #tell(warnings: readonly string[]): void {
    for (const warning of warnings) if (!this.#told.has(warning)) this.#components.log.warn({}, warning)
    this.#told = new Set(warnings)
  }

  #refuse(problems: readonly string[]): void {
    const { log, audit } = this.#components
    const { path: file } = this.#file
    log.error({ file, problems }, 'the configuration changed, but cannot be used: what it said before holds')
    audit?.record({ subject: 'operator', action: 'config', outcome: 'failed' })
  }
}

/** What is in force when all but the live keys stays. */
function withLiveKeys({ access: _, ...started }: Config, { access, immutable }: Config): Config {
  return { ...started, ...(access !== undefined && { access }), immutable }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    about => about.isFile(),
    () => false
  )
}
