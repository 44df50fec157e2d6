import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { FolderSync } from './folder-sync.ts'
import { hasCode } from './storage-error.ts'

/** Shard folders of `blobs/`: made when the first file comes, synced with whatever parent they made grow. */
export class PlaceSync {
  readonly folders: FolderSync
  /** Shard folders that this process may have made and whose own name is not synced yet. */
  readonly #fresh = new Set<string>()

  constructor(folders: FolderSync) {
    this.folders = folders
  }

  /** Makes a shard folder; one that is there already is fine. */
  async create(shard: string): Promise<void> {
    // Before the fact: of two callers at once the one that finds it made must sync the parent just as well.
    this.#fresh.add(shard)
    try {
      await mkdir(shard, { mode: 0o700 })
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error
    }
  }

  /** Makes names in the shard folder, and the folder's own, survive a power cut. */
  async sync(shard: string): Promise<void> {
    const fresh = this.#fresh.has(shard)
    await Promise.all([this.folders.sync(shard), fresh ? this.folders.sync(dirname(shard)) : undefined])
    if (fresh) this.#fresh.delete(shard)
  }
}
