import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { ConfigError, type LoadedConfig, type LoadOptions, loadConfig } from '../../src/config.ts'

const folder = await mkdtemp(join(tmpdir(), 'pinnace-config-'))
afterAll(() => rm(folder, { recursive: true, force: true }))
let folders = 0

export async function temporaryFile(content: string | Uint8Array, name = 'config.yml'): Promise<string> {
  const file = join(folder, String(++folders), name)
  await mkdir(join(folder, String(folders)))
  await writeFile(file, content)
  return file
}

export const home = { HOME: '/home/ada' }

/** Loads a file with this content (one file, written anew each time), and these variables on top of a home folder. */
export async function loadText(
  content: string | Uint8Array,
  environment: Record<string, string> = {},
  options: Omit<LoadOptions, 'environment' | 'file'> = {}
): Promise<LoadedConfig> {
  const file = join(folder, 'config.yml')
  await writeFile(file, content)
  return await loadConfig({ ...options, file, environment: { ...home, ...environment } })
}

/** Messages of all problems, places reduced to `config.yml:LINE`. */
export async function problemsOf(loading: Promise<LoadedConfig>): Promise<string[]> {
  try {
    await loading
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(problem => problem.message.replace(/^\/\S*\/(?=config\.yml)/, ''))
  }
}

export function shortWarnings(loaded: LoadedConfig): string[] {
  return loaded.warnings.map(warning => warning.replace(/^\/\S*\/(?=config\.yml)/, ''))
}
