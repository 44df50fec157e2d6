import type { InspectedConfig, LoadedConfig, LoadOptions } from '../config.ts'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'
import type { Shell } from './shell.ts'

/**
 * The configuration that a command line means.
 *
 * @param file a configuration file given as an argument; wins over `--config`
 * @throws {ConfigError}
 * @throws {CommandFailure} `usage` with `--host`, whose node has a configuration of its own
 */
export async function readSettings(shell: Shell, file = shell.config): Promise<LoadedConfig> {
  const { loadConfig } = await import('../config.ts')
  return loadConfig(sourcesOf(shell, file))
}

/** {@link readSettings} for a command that has more to find wrong. */
export async function inspectSettings(shell: Shell, file = shell.config): Promise<InspectedConfig> {
  const { inspectConfig } = await import('../config.ts')
  return inspectConfig(sourcesOf(shell, file))
}

function sourcesOf(shell: Shell, file: string | undefined): LoadOptions {
  if (shell.host !== undefined) {
    throw new CommandFailure(exitCodes.usage, `"pinnace ${shell.command}" is about this machine and takes no --host`)
  }
  return {
    environment: process.env,
    ...(file === undefined ? {} : { file }),
    ...(shell.data === undefined ? {} : { dataDir: shell.data })
  }
}
