import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStorage, type Storage, type StorageInit } from '../../src/storage/open-storage.ts'
import type { StorageSubject } from '../contract/upload-staging.ts'

export interface FolderSubject extends StorageSubject {
  root: string
  reopen(): Promise<FolderSubject>
}

/** The real files, in a folder that goes with the test. */
export async function storageSubject(init: StorageInit = {}): Promise<FolderSubject> {
  const root = await mkdtemp(join(tmpdir(), 'pinnace-storage-'))
  return subjectOver(root, await openStorage(root, init), init)
}

function subjectOver(root: string, storage: Storage, init: StorageInit): FolderSubject {
  return {
    root,
    staging: storage.staging,
    blobs: storage.blobs,
    async reopen() {
      await storage.close()
      return subjectOver(root, await openStorage(root, init), init)
    },
    async teardown() {
      await storage.close()
      await rm(root, { recursive: true, force: true })
    }
  }
}
