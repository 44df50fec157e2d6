import type { LoadedConfig } from '../config.ts'
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
  if (shell.host !== undefined) {
    throw new CommandFailure(exitCodes.usage, `"pinnace ${shell.command}" is about this machine and takes no --host`)
  }
  const { loadConfig } = await import('../config.ts')
  return loadConfig({
    environment: process.env,
    ...(file === undefined ? {} : { file }),
    ...(shell.data === undefined ? {} : { dataDir: shell.data })
  })
}
