import type { AbortOptions, BlockHome, BlockPlace } from '../registry/ports.ts'

/**
 * Where the blockstore finds blocks: the index, the bytes of blobs and manifests, and who may read them. Composed in
 * `node.ts` from the metadata store, the blob files and the access rule as it stands for anonymous.
 *
 * Every method: absent is `undefined` or nothing, any other failure throws.
 */
export interface BlockSource {
  /** Homes of a block, each with the place of its bytes there. Reads the index only. */
  blockHomes(multihash: Uint8Array, options?: AbortOptions): AsyncIterable<{ home: BlockHome; place: BlockPlace }>
  /** Bytes of a `node` block. */
  node(multihash: Uint8Array, options?: AbortOptions): Promise<Uint8Array | undefined>
  /**
   * Path of a file that holds a home's bytes from its first to its last, for blobs on this disk: the IPFS thread then
   * reads them itself, and keeps the file open for some seconds. `undefined` where {@link readRange} has to be asked.
   */
  filePath?(home: BlockHome): Promise<string | undefined>
  /**
   * `length` bytes at `offset` of a blob's or manifest's own bytes, fewer at its end; `undefined` when it is gone.
   * Called for every leaf of a home without a path.
   */
  readRange(home: BlockHome, offset: number, length: number, options?: AbortOptions): Promise<Uint8Array | undefined>
  /** Whether anonymous may read what lives in this home. Asked for every block, so that a change counts at once. */
  mayServe(home: BlockHome, options?: AbortOptions): Promise<boolean>
}

/** Bytes in a home that are not what the index says they are. */
export interface CorruptBlock {
  home: BlockHome
  multihash: Uint8Array
  place: BlockPlace
}
