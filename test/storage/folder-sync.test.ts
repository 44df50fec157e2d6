import { describe, expect, it } from 'vitest'
import { FolderSync } from '../../src/storage/folder-sync.ts'

/** Syncs that end when the test says so. */
function heldSyncs() {
  const running: { folder: string; end: (error?: Error) => void }[] = []
  let started = 0
  const sync = (folder: string): Promise<void> => {
    started++
    return new Promise((resolve, reject) => {
      running.push({ folder, end: error => (error === undefined ? resolve() : reject(error)) })
    })
  }
  return {
    sync,
    started: () => started,
    /** Ends the one that has run for longest, and lets what follows from it happen. */
    async endOne(error?: Error): Promise<void> {
      running.shift()?.end(error)
      await new Promise(resolve => setImmediate(resolve))
    }
  }
}

describe('FolderSync', () => {
  it('lets all who come during a sync share the next, and none of them the running one', async () => {
    const held = heldSyncs()
    const folders = new FolderSync(held.sync)
    const done: string[] = []
    const first = folders.sync('a').then(() => done.push('first'))
    const later = [1, 2, 3].map(index => folders.sync('a').then(() => done.push(`later ${index}`)))
    expect(held.started()).toBe(1)
    await held.endOne()
    expect(done).toEqual(['first'])
    expect(held.started()).toBe(2)
    const last = folders.sync('a').then(() => done.push('last'))
    await held.endOne()
    expect(done).toEqual(['first', 'later 1', 'later 2', 'later 3'])
    await held.endOne()
    await Promise.all([first, ...later, last])
    expect(held.started()).toBe(3)
  })

  it('syncs different folders at once', async () => {
    const held = heldSyncs()
    const folders = new FolderSync(held.sync)
    const both = [folders.sync('a'), folders.sync('b')]
    expect(held.started()).toBe(2)
    await held.endOne()
    await held.endOne()
    await Promise.all(both)
  })

  it('fails those whose sync failed and no other', async () => {
    const held = heldSyncs()
    const folders = new FolderSync(held.sync)
    const first = expect(folders.sync('a')).rejects.toThrow('bad sector')
    const second = folders.sync('a')
    await held.endOne(new Error('bad sector'))
    await first
    await held.endOne()
    await second
    const third = folders.sync('a')
    await held.endOne()
    await third
    expect(held.started()).toBe(3)
  })
})
