import { join, resolve } from 'node:path'
import type { Config } from '../config.ts'
import { exitCodes } from './exit-codes.ts'
import { CommandFailure } from './explain.ts'
import { namesRemote } from './remote-host.ts'
import { readSettings } from './settings.ts'
import type { Shell } from './shell.ts'

/** Where the node that the command line means has its data and its key. */
export interface KeyPlace {
  folder: string
  file: string
  config: Config
}

/**
 * @throws {ConfigError}
 * @throws {CommandFailure} `usage` when a node elsewhere is meant: a key does not travel
 */
export async function findKey(shell: Shell): Promise<KeyPlace> {
  if (namesRemote(shell, process.env)) {
    const advice = 'run it there, or unset PINNACE_HOST and leave --host away'
    throw new CommandFailure(exitCodes.usage, `"pinnace ${shell.command}" works on the machine of the node: ${advice}`)
  }
  const { config } = await readSettings(shell)
  const folder = resolve(config.storage.filesystem.rootdirectory)
  const { file } = config.ipfs.key
  return { folder, file: file === undefined ? join(folder, 'ipfs', 'key') : resolve(file), config }
}
