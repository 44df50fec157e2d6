import type { AbortOptions, BlockHome, BlockPlace } from '../registry/ports.ts'
import type { BlockSource } from './block-source.ts'

/**
 * Homes of a block that anonymous may read. A block that has no home costs what one with a private home does: a look into
 * the list of homes and one into the list of repositories.
 */
export async function* servable(
  source: BlockSource,
  multihash: Uint8Array,
  options?: AbortOptions
): AsyncGenerator<{ home: BlockHome; place: BlockPlace }> {
  let known = false
  for await (const found of source.blockHomes(multihash, options)) {
    known = true
    if (await source.mayServe(found.home, options)) yield found
  }
  if (!known) await source.mayServe(`blob:sha256:${Buffer.from(multihash.subarray(2)).toString('hex')}`, options)
}
