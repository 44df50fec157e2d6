import { access, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Level } from 'level'
import { syncFolder } from './log-rotation.ts'

/**
 * Makes an empty LevelDB, whole or not at all. Left to itself LevelDB names its first manifest before the bytes are
 * synced: a power cut in a node's first second would leave a database that no start can open.
 */
export async function createLevelFolder(folder: string): Promise<void> {
  if (await exists(folder)) return
  const draft = `${folder}.new`
  await rm(draft, { recursive: true, force: true })
  await mkdir(dirname(folder), { recursive: true })
  const level = new Level(draft)
  await level.open()
  await level.close()
  for (const name of await readdir(draft)) await syncFile(join(draft, name))
  await syncFolder(draft)
  await rename(draft, folder)
  await syncFolder(dirname(folder))
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
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
