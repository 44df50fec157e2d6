import type { CID } from 'multiformats/cid'
import type { AbortOptions } from '../../registry/ports.ts'

/** What bitswap serves. */
export interface Blocks {
  /** Length of a block, without reading it; `undefined` when it is not here, or not for everyone. */
  find(cid: CID, options?: AbortOptions): Promise<{ length: number } | undefined>
  /** A block whose bytes were hashed; an error named `NotFoundError` where {@link find} gives nothing. */
  read(cid: CID, options?: AbortOptions): Promise<Uint8Array>
}
