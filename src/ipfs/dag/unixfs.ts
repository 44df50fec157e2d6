import { bytesHeader, fieldsOf, varintField } from '../protobuf.ts'

/**
 * The UnixFS `Data` message, as much of it as files and directories without mode and mtime need.
 *
 * Not the package `ipfs-unixfs`: its runtime (protons-runtime 7.1.2, 8.0.1 alike) writes a 64-bit field whose value is
 * in [2^31, 2^32) as one byte and leaves the rest to what was in memory, so that a file of 2 to 4 GiB gets a CID of
 * chance.
 *
 * @see https://specs.ipfs.tech/unixfs/#data
 */
const type = { directory: 1, file: 2, hamtShard: 5 } as const

export const murmur3x64 = 0x22

/** `Data` of a plain directory. */
export function directoryData(): Uint8Array {
  return Uint8Array.from(varintField(1, type.directory))
}

/** `Data` of a file's inner node: bytes of content below each link. */
export function fileData(blockSizes: readonly number[]): Uint8Array {
  const size = blockSizes.reduce((sum, blockSize) => sum + blockSize, 0)
  const bytes = [...varintField(1, type.file), ...varintField(3, size)]
  for (const blockSize of blockSizes) bytes.push(...varintField(4, blockSize))
  return Uint8Array.from(bytes)
}

/** `Data` of a HAMT shard; `bitfield` without leading zero bytes. */
export function shardData(bitfield: Uint8Array, fanout: number): Uint8Array {
  const prefix = [...varintField(1, type.hamtShard), ...bytesHeader(2, bitfield.byteLength)]
  return Uint8Array.from([...prefix, ...bitfield, ...varintField(5, murmur3x64), ...varintField(6, fanout)])
}

/**
 * Block sizes of a `Data` message, in order.
 *
 * @throws {RangeError} not a UnixFS message
 */
export function blockSizesOf(data: Uint8Array): number[] {
  const sizes: number[] = []
  for (const { number, value } of fieldsOf(data)) {
    if (number === 4 && typeof value === 'number') sizes.push(value)
  }
  return sizes
}
