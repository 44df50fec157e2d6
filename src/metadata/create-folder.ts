import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Level } from 'level'
import { syncFolder } from './log-rotation.ts'
import { MetadataUnusable, restoreMetadata } from './unusable.ts'

/**
 * Makes an empty LevelDB, whole or not at all. Left to itself LevelDB names its first manifest before the bytes are
 * synced: a power cut in a node's first second would leave a database that no start can open. One that is there stays as it is.
 *
 * @throws {MetadataUnusable} when there is a database without its file CURRENT
 */
export async function createLevelFolder(folder: string): Promise<void> {
  const found = await namesIn(folder)
  if (found?.includes('CURRENT')) return
  if (found?.some(name => /^(?:MANIFEST-\d+|\d+\.(?:ldb|sst|log))$/.test(name))) {
    // LevelDB would take them for leftovers and remove them.
    throw new MetadataUnusable(
      `the metadata in ${folder} cannot be opened: ${join(folder, 'CURRENT')} is missing, other files of the database are there. ${restoreMetadata}`
    )
  }
  // An empty folder may be a mount point, which nothing can be renamed onto.
  if (found !== undefined) return makeLevel(folder)
  const draft = `${folder}.new`
  await rm(draft, { recursive: true, force: true })
  await mkdir(dirname(folder), { recursive: true })
  await makeLevel(draft)
  for (const name of await readdir(draft)) await syncFile(join(draft, name))
  await syncFolder(draft)
  await rename(draft, folder)
  await syncFolder(dirname(folder))
}

async function makeLevel(folder: string): Promise<void> {
  const level = new Level(folder)
  await level.open()
  await level.close()
}

/** `undefined` when there is no such folder. */
async function namesIn(folder: string): Promise<string[] | undefined> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
