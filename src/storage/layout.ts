import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { FolderSync } from './folder-sync.ts'
import { type StoragePaths, storagePaths } from './paths.ts'
import { isMissing, storageError } from './storage-error.ts'

/** Version of the folders described in {@link StoragePaths}, kept in the file `layout`. */
export const layoutVersion = 1

/** Takes a data folder from version `from` to `from + 1`. Runs again from the start when a crash cut it short. */
export interface LayoutMigration {
  from: number
  migrate(paths: StoragePaths): Promise<void>
}

/** Every step there ever was, oldest first. */
const migrations: readonly LayoutMigration[] = []

/** The data folder is not one this binary can use; nothing was changed. */
export class LayoutError extends Error {
  override readonly name = 'LayoutError'
  readonly code: 'LAYOUT_NEWER' | 'LAYOUT_UNREADABLE' | 'LAYOUT_NO_MIGRATION'

  constructor(code: LayoutError['code'], message: string) {
    super(message)
    this.code = code
  }
}

export interface LayoutInit {
  /** Default {@link layoutVersion}. */
  version?: number
  /** Default: every step there is. */
  migrations?: readonly LayoutMigration[]
}

/**
 * Creates the folders of a data folder (mode 0700), or brings those of an older one up to date.
 *
 * @throws {LayoutError} LAYOUT_NEWER for a folder written by a newer binary, LAYOUT_UNREADABLE, LAYOUT_NO_MIGRATION
 * @throws {RegistryError} STORAGE_FULL
 */
export async function openLayout(root: string, folders: FolderSync, init: LayoutInit = {}): Promise<StoragePaths> {
  const paths = storagePaths(root)
  const version = init.version ?? layoutVersion
  try {
    await mkdir(root, { recursive: true, mode: 0o700 })
    const found = await readVersion(root)
    if (found !== undefined && found > version) throw newer(root, found, version)
    if (found !== undefined) await migrate(paths, folders, found, version, init.migrations ?? migrations)
    await createFolders(paths, folders)
    if (found === undefined) await writeVersion(root, version, folders)
    return paths
  } catch (error) {
    throw storageError(error)
  }
}

/**
 * Whether {@link openLayout} would take the folder; changes nothing.
 *
 * @throws {LayoutError} LAYOUT_NEWER, LAYOUT_UNREADABLE, LAYOUT_NO_MIGRATION
 */
export async function checkLayout(root: string, init: LayoutInit = {}): Promise<void> {
  const version = init.version ?? layoutVersion
  const found = (await readVersion(root)) ?? version
  if (found > version) throw newer(root, found, version)
  for (let current = found; current < version; current++) stepFrom(current, init.migrations ?? migrations)
}

function newer(root: string, found: number, version: number): LayoutError {
  return new LayoutError(
    'LAYOUT_NEWER',
    `${root} has storage layout ${found}, this version of pinnace knows layouts up to ${version}: use the newer pinnace`
  )
}

async function migrate(
  paths: StoragePaths,
  folders: FolderSync,
  found: number,
  version: number,
  steps: readonly LayoutMigration[]
): Promise<void> {
  for (let current = found; current < version; current++) {
    await stepFrom(current, steps).migrate(paths)
    await writeVersion(paths.root, current + 1, folders)
  }
}

function stepFrom(version: number, steps: readonly LayoutMigration[]): LayoutMigration {
  const step = steps.find(candidate => candidate.from === version)
  if (step === undefined)
    throw new LayoutError('LAYOUT_NO_MIGRATION', `no migration from storage layout ${version} to ${version + 1}`)
  return step
}

async function createFolders(paths: StoragePaths, folders: FolderSync): Promise<void> {
  const algorithms = ['sha256', 'sha512'].map(algorithm => join(paths.blobs, algorithm))
  for (const folder of [...algorithms, paths.uploads, paths.quarantine])
    await mkdir(folder, { recursive: true, mode: 0o700 })
  // A shard folder made just before a crash may not be durable yet: from here on only new ones need their parent synced.
  for (const folder of [...algorithms, paths.blobs, paths.root]) await folders.sync(folder)
}

async function readVersion(root: string): Promise<number | undefined> {
  let text: string
  try {
    text = await readFile(join(root, 'layout'), 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  const version = /^[1-9]\d{0,8}\n?$/.test(text) ? Number(text) : undefined
  if (version === undefined)
    throw new LayoutError('LAYOUT_UNREADABLE', `${join(root, 'layout')} does not hold a version number`)
  return version
}

async function writeVersion(root: string, version: number, folders: FolderSync): Promise<void> {
  const temporary = join(root, 'layout.new')
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(`${version}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, join(root, 'layout'))
  await folders.sync(root)
}
