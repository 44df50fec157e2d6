import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FolderSync } from '../../src/storage/folder-sync.ts'
import { type LayoutMigration, layoutVersion, openLayout } from '../../src/storage/layout.ts'

describe('openLayout', () => {
  let parent: string
  let root: string

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'pinnace-layout-'))
    root = join(parent, 'data')
  })
  afterEach(() => rm(parent, { recursive: true, force: true }))

  it('makes private folders and says which version they are', async () => {
    await openLayout(root, new FolderSync())
    expect((await readdir(root)).sort()).toEqual(['blobs', 'layout', 'quarantine', 'uploads'])
    expect((await readdir(join(root, 'blobs'))).sort()).toEqual(['sha256', 'sha512'])
    expect(await readFile(join(root, 'layout'), 'utf8')).toBe(`${layoutVersion}\n`)
    for (const folder of ['.', 'blobs', 'blobs/sha256', 'blobs/sha512', 'uploads', 'quarantine'])
      expect((await stat(join(root, folder))).mode & 0o777).toBe(0o700)
  })

  it('makes again what is missing, leaves alone what is there', async () => {
    const { uploads, quarantine } = await openLayout(root, new FolderSync())
    await writeFile(join(uploads, 'up'), 'staged')
    await rm(quarantine, { recursive: true })
    await openLayout(root, new FolderSync())
    expect(await readFile(join(uploads, 'up'), 'utf8')).toBe('staged')
    expect(await readdir(quarantine)).toEqual([])
  })

  it('refuses a newer layout, naming both versions, and touches nothing', async () => {
    await mkdir(root)
    await writeFile(join(root, 'layout'), '7\n')
    const opening = openLayout(root, new FolderSync())
    await expect(opening).rejects.toMatchObject({
      code: 'LAYOUT_NEWER',
      message: expect.stringMatching(/\b7\b.*\b1\b/)
    })
    expect(await readdir(root)).toEqual(['layout'])
  })

  it.each(['', 'one', '0', '-1', '1.5', '1\n2', '99999999999'])('refuses a version that reads %j', async text => {
    await mkdir(root)
    await writeFile(join(root, 'layout'), text)
    await expect(openLayout(root, new FolderSync())).rejects.toMatchObject({ code: 'LAYOUT_UNREADABLE' })
  })

  describe('migrations', () => {
    const ran: number[] = []
    const step = (from: number): LayoutMigration => ({ from, migrate: async () => void ran.push(from) })
    const version = () => readFile(join(root, 'layout'), 'utf8')

    beforeEach(() => {
      ran.length = 0
    })

    it('run in order from the version found', async () => {
      await openLayout(root, new FolderSync())
      await openLayout(root, new FolderSync(), { version: 3, migrations: [step(2), step(1)] })
      expect(ran).toEqual([1, 2])
      expect(await version()).toBe('3\n')
      await openLayout(root, new FolderSync(), { version: 3, migrations: [step(2), step(1)] })
      expect(ran).toEqual([1, 2])
    })

    it('do not run in a new folder', async () => {
      await openLayout(root, new FolderSync(), { version: 3, migrations: [step(1), step(2)] })
      expect(ran).toEqual([])
      expect(await version()).toBe('3\n')
    })

    it('go on where one failed', async () => {
      await openLayout(root, new FolderSync())
      const broken: LayoutMigration = { from: 2, migrate: () => Promise.reject(new Error('disk on fire')) }
      const failing = openLayout(root, new FolderSync(), { version: 3, migrations: [step(1), broken] })
      await expect(failing).rejects.toThrow('disk on fire')
      expect(await version()).toBe('2\n')
      await openLayout(root, new FolderSync(), { version: 3, migrations: [step(1), step(2)] })
      expect(ran).toEqual([1, 2])
    })

    it('must be complete', async () => {
      await openLayout(root, new FolderSync())
      const opening = openLayout(root, new FolderSync(), { version: 3, migrations: [step(2)] })
      await expect(opening).rejects.toMatchObject({ code: 'LAYOUT_NO_MIGRATION' })
      expect(ran).toEqual([])
    })
  })
})
