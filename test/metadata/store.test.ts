import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryLevel } from 'memory-level'
import { describe } from 'vitest'
import { openMetadata } from '../../src/metadata/open.ts'
import { LevelMetadata } from '../../src/metadata/store.ts'
import { metadataStoreContract } from '../contract/metadata-store.ts'

describe('LevelMetadata over memory-level', () => {
  metadataStoreContract({
    async setup() {
      const level = new MemoryLevel<string, string>()
      let store = new LevelMetadata({ level })
      await store.open()
      return {
        store,
        async reopen() {
          await store.close()
          store = new LevelMetadata({ level })
          await store.open()
          return store
        },
        teardown: () => store.close()
      }
    }
  })
})

// Without the cache every answer comes from the database.
describe.each([
  ['with its cache', {}],
  ['without a cache, in small groups', { cacheBytes: 0, groupBytes: 512 }]
])('LevelMetadata over LevelDB %s', (_, init) => {
  metadataStoreContract({
    async setup() {
      const folder = await mkdtemp(join(tmpdir(), 'pinnace-metadata-'))
      let store = await openMetadata(join(folder, 'db'), init)
      return {
        store,
        async reopen() {
          await store.close()
          store = await openMetadata(join(folder, 'db'), init)
          return store
        },
        async teardown() {
          await store.close()
          await rm(folder, { recursive: true })
        }
      }
    }
  })
})
