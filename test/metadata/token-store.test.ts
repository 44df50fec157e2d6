import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryLevel } from 'memory-level'
import { describe, expect, it } from 'vitest'
import { openMetadata } from '../../src/metadata/open.ts'
import { LevelMetadata } from '../../src/metadata/store.ts'
import { collect } from '../contract/metadata-store.ts'
import { tokenStoreContract } from '../contract/token-store.ts'

describe('tokens over memory-level', () => {
  tokenStoreContract({
    async setup() {
      const level = new MemoryLevel<string, string>()
      let metadata = new LevelMetadata({ level })
      await metadata.open()
      return {
        store: metadata.tokens,
        async reopen() {
          await metadata.close()
          metadata = new LevelMetadata({ level })
          await metadata.open()
          return metadata.tokens
        },
        teardown: () => metadata.close()
      }
    }
  })
})

describe('tokens over LevelDB', () => {
  tokenStoreContract({
    async setup() {
      const folder = await mkdtemp(join(tmpdir(), 'pinnace-tokens-'))
      let metadata = await openMetadata(join(folder, 'db'))
      return {
        store: metadata.tokens,
        async reopen() {
          await metadata.close()
          metadata = await openMetadata(join(folder, 'db'))
          return metadata.tokens
        },
        async teardown() {
          await metadata.close()
          await rm(folder, { recursive: true })
        }
      }
    }
  })

  it('is unavailable once the metadata is closed', async () => {
    const metadata = new LevelMetadata({ level: new MemoryLevel<string, string>() })
    await metadata.open()
    await metadata.close()
    await expect(metadata.tokens.delete('x')).rejects.toMatchObject({ reason: 'UNAVAILABLE' })
    await expect(collect(metadata.tokens.list())).rejects.toMatchObject({ reason: 'UNAVAILABLE' })
  })
})
