import { open } from 'node:fs/promises'

interface Group {
  running: Promise<void>
  /** Callers that came after `running` began, whose folder entries it may have missed: they share the one after. */
  next?: Promise<void>
}

/**
 * Syncs folders so that names created, renamed or removed in them survive a power cut. Concurrent callers of one folder
 * share a sync: one runs, one more waits behind it for everybody who came meanwhile.
 */
export class FolderSync {
  readonly #groups = new Map<string, Group>()
  readonly #syncFolder: (folder: string) => Promise<void>

  /** @param sync - how one folder is synced; default: by the operating system */
  constructor(sync: (folder: string) => Promise<void> = syncFolder) {
    this.#syncFolder = sync
  }

  /** Covers every change of the folder's entries that completed before the call. */
  sync(folder: string): Promise<void> {
    const group = this.#groups.get(folder)
    if (group === undefined) return this.#start(folder)
    const again = (): Promise<void> => this.#start(folder)
    group.next ??= group.running.then(again, again)
    return group.next
  }

  #start(folder: string): Promise<void> {
    const group: Group = { running: this.#syncFolder(folder) }
    this.#groups.set(folder, group)
    const end = (): void => {
      if (group.next === undefined) this.#groups.delete(folder)
    }
    group.running.then(end, end)
    return group.running
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
