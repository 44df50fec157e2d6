import type { BlobFiles, DiskRoom, UploadStaging } from '../registry/ports.ts'
import { FlatBlobFiles } from './blob-files.ts'
import { DiskReserve, type DiskReserveInit } from './disk-reserve.ts'
import { FolderSync } from './folder-sync.ts'
import { HashPool, type HashPoolInit } from './hash-pool.ts'
import { type LayoutInit, openLayout } from './layout.ts'
import { PlaceSync } from './place-sync.ts'
import { Ring } from './ring.ts'
import { UploadFiles, type UploadFilesInit } from './upload-files.ts'

export interface StorageInit extends DiskReserveInit {
  layout?: LayoutInit
  hash?: HashPoolInit
  uploads?: UploadFilesInit
  /** MiB of memory that all upload bodies together pass through. Default 16: 32 gave no more speed (512 MiB, 7 interleaved rounds: 1.00) and 17 MB more. */
  ringSlots?: number
}

/** The bytes of a node: one data folder, opened. */
export interface Storage {
  staging: UploadStaging
  blobs: BlobFiles
  room: DiskRoom
  /** Ends the workers and closes the open files. Idempotent. */
  close(): Promise<void>
}

/**
 * Opens the files under a data folder, making it when it is not there. One process at a time: the caller holds the lock.
 *
 * @throws {LayoutError} when the folder was written by a newer binary
 * @throws {RegistryError} STORAGE_FULL
 */
export async function openStorage(root: string, init: StorageInit = {}): Promise<Storage> {
  const folders = new FolderSync()
  const paths = await openLayout(root, folders, init.layout)
  const places = new PlaceSync(folders)
  const ring = new Ring(init.ringSlots ?? 16)
  const pool = new HashPool(ring.memory, init.hash)
  const reserve = new DiskReserve(root, init)
  const staging = new UploadFiles({ paths, ring, pool, places, reserve }, init.uploads)
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    await staging.close()
    await pool.close()
  }
  return {
    staging,
    blobs: new FlatBlobFiles({ paths, places }),
    room: reserve,
    close: () => {
      closing ??= close()
      return closing
    }
  }
}
