import type { CID } from 'multiformats/cid'
import type { Digest } from '../oci/digest.ts'
import { algorithmOf, encodedOf } from '../oci/digest.ts'
import type { ManifestView } from '../registry/registry.ts'
import { etagOf } from './etag.ts'
import type { HeaderList } from './exchange.ts'

/** Content that a digest names never changes. */
export const immutable = 'max-age=31536000, immutable'

/** `X-Ipfs-Path` of a manifest inside its image directory. */
export function imagePath(image: CID, digest: Digest): string {
  return `/ipfs/${image}/blobs/${algorithmOf(digest)}/${encodedOf(digest)}`
}

interface Entry {
  mediaType: string
  image: CID | undefined
  headers: readonly string[]
}

/** Manifests whose headers are kept. */
const maxEntries = 4096

/** Headers of a manifest's responses, remembered by digest: pulls of one tag by many clients are the hot path. */
export class ManifestHeaders {
  readonly #entries = new Map<Digest, Entry>()

  /** A new list for one response. */
  of(view: ManifestView): HeaderList {
    const { digest, mediaType, image } = view
    const known = this.#entries.get(digest)
    if (known !== undefined && known.mediaType === mediaType && sameImage(known.image, image)) return [...known.headers]
    const headers: HeaderList = ['Content-Type', mediaType, 'Docker-Content-Digest', digest, 'ETag', etagOf(digest)]
    if (image !== undefined) headers.push('X-Ipfs-Path', imagePath(image, digest))
    if (this.#entries.size >= maxEntries) this.#entries.clear()
    this.#entries.set(digest, { mediaType, image, headers })
    return [...headers]
  }
}

function sameImage(known: CID | undefined, image: CID | undefined): boolean {
  return known === image || (known !== undefined && image !== undefined && known.equals(image))
}
