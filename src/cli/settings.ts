import type { LoadedConfig } from '../config.ts'
import type { Shell } from './shell.ts'

/**
 * The configuration that a command line means.
 *
 * @param file a configuration file given as an argument; wins over `--config`
 * @throws {ConfigError}
 */
export async function readSettings(shell: Shell, file = shell.config): Promise<LoadedConfig> {
  const { loadConfig } = await import('../config.ts')
  return loadConfig({
    environment: process.env,
    ...(file === undefined ? {} : { file }),
    ...(shell.data === undefined ? {} : { dataDir: shell.data })
  })
}
