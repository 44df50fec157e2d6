import { CID } from 'multiformats/cid'
import { describe, expect, it } from 'vitest'
import { directoryDag, shardingThreshold } from '../../src/ipfs/dag/directory.ts'
import { BlockSet, type Child } from '../../src/ipfs/dag/node.ts'
import { UnixfsDagBuilder } from '../../src/ipfs/dag-builder.ts'
import { dagBuilderContract } from '../contract/dag-builder.ts'
import { namesForBlockOf } from './folder-of-size.ts'

describe('DagBuilder', () => dagBuilderContract(() => new UnixfsDagBuilder()))

describe('directoryDag', () => {
  const cid = CID.parse('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')

  const folderOf = (bytes: number): Map<string, Child> =>
    new Map(namesForBlockOf(bytes).map(name => [name, { cid, dagSize: 0 }]))

  it('shards above 256 KiB of block, not at it', async () => {
    const atThreshold = new BlockSet()
    await directoryDag(folderOf(shardingThreshold), atThreshold)
    expect(atThreshold.entries.map(entry => entry.place.length)).toEqual([shardingThreshold])

    const above = new BlockSet()
    await directoryDag(folderOf(shardingThreshold + 1), above)
    expect(above.entries.length).toBeGreaterThan(200)
  })
})
