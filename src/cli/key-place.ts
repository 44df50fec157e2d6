import { join, resolve } from 'node:path'
import { readSettings } from './settings.ts'
import type { Shell } from './shell.ts'

/** Where the node that the command line means has its data and its key. */
export interface KeyPlace {
  folder: string
  file: string
}

/** @throws {ConfigError} */
export async function findKey(shell: Shell): Promise<KeyPlace> {
  const { config } = await readSettings(shell)
  const folder = resolve(config.storage.filesystem.rootdirectory)
  const { file } = config.ipfs.key
  return { folder, file: file === undefined ? join(folder, 'ipfs', 'key') : resolve(file) }
}
