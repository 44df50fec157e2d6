import type { BlobView, UploadView } from '../registry/registry.ts'
import type { Door } from './door.ts'
import type { Exchange, HeaderList } from './exchange.ts'

/**
 * Where a session is and how far it came. The `Location` says it too, so that a body that is sent to it again is known for what it is.
 * `0-0` also means nothing yet, as in distribution.
 */
export function sessionHeaders(door: Door, exchange: Exchange, repository: string, upload: UploadView): HeaderList {
  return [
    'Location',
    door.locations.of(exchange.request, `/${repository}/blobs/uploads/${upload.id}/${upload.size}`),
    'Range',
    `0-${Math.max(0, upload.size - 1)}`,
    'Docker-Upload-UUID',
    upload.id
  ]
}

/** A blob that the repository now holds. */
export function blobCreated(door: Door, exchange: Exchange, repository: string, blob: BlobView): HeaderList {
  return [
    'Location',
    door.locations.of(exchange.request, `/${repository}/blobs/${blob.digest}`),
    'Docker-Content-Digest',
    blob.digest,
    'X-Ipfs-Path',
    `/ipfs/${blob.root}`
  ]
}
