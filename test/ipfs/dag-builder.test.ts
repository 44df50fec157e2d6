import { CID } from 'multiformats/cid'
import { describe, expect, it } from 'vitest'
import { directoryDag, shardingThreshold } from '../../src/ipfs/dag/directory.ts'
import { BlockSet, type Child } from '../../src/ipfs/dag/node.ts'
import { UnixfsDagBuilder } from '../../src/ipfs/dag-builder.ts'
import { dagBuilderContract } from '../contract/dag-builder.ts'

describe('DagBuilder', () => dagBuilderContract(() => new UnixfsDagBuilder()))

describe('directoryDag', () => {
  const cid = CID.parse('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')

  /** A directory of empty files whose plain block has exactly this many bytes. */
  function folderOf(bytes: number): Map<string, Child> {
    // 4 bytes of UnixFS data; each link: 2 + 36 for the CID, 2 for Tsize 0, 2 + name, and 2 around it.
    const entries = new Map<string, Child>()
    let left = bytes - 4
    for (let index = 0; left > 0; index++) {
      const length = left >= 124 ? 20 : left - 44
      entries.set(`${index}-`.padEnd(length, 'n'), { cid, dagSize: 0 })
      left -= 44 + length
    }
    return entries
  }

  it('shards above 256 KiB of block, not at it', async () => {
    const atThreshold = new BlockSet()
    await directoryDag(folderOf(shardingThreshold), atThreshold)
    expect(atThreshold.entries.map(entry => entry.place.length)).toEqual([shardingThreshold])

    const above = new BlockSet()
    await directoryDag(folderOf(shardingThreshold + 1), above)
    expect(above.entries.length).toBeGreaterThan(200)
  })
})
