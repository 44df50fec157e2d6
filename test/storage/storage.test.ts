import { describe } from 'vitest'
import { blobFilesContract } from '../contract/blob-files.ts'
import { uploadStagingContract } from '../contract/upload-staging.ts'
import { storageSubject } from './storage-subject.ts'

describe.each([
  ['as configured by default', {}],
  [
    'with a ring of two slots, two workers, nothing kept idle or in the page cache',
    { ringSlots: 2, hash: { threads: 2 }, uploads: { idleSessions: 0, cachedSize: 0 } }
  ]
])('files %s', (_, init) => {
  describe('UploadStaging', () => uploadStagingContract({ setup: () => storageSubject(init) }))
  describe('BlobFiles', () => blobFilesContract({ setup: () => storageSubject(init) }))
})
