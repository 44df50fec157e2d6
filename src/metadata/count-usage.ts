import type { Level } from './database.ts'
import { keys, prefixes, rangeOf } from './keys.ts'
import type { Migration } from './migrate.ts'
import { decode, encode } from './records.ts'

type Put = { type: 'put'; key: string; value: string }

/** Entries written at once. */
const slice = 1024

/**
 * Schema 2: each link carries the size of its blob, and each repository the bytes it holds. One walk over links and
 * manifests; begun again from nothing after a crash. A million links take a few seconds, once.
 */
export const countUsage: Migration = {
  from: 1,
  run: async level => {
    await level.clear(rangeOf(prefixes.usage))
    await walk(level, 'links', async (digest, text) => {
      const blob = await level.get(keys.blob(digest))
      const size = blob === undefined ? undefined : decode.blobSize(blob)
      return { bytes: size ?? 0, value: encode.link(decode.link(text), size) }
    })
    await walk(level, 'revisions', async (_digest, text) => ({ bytes: decode.revision(text).size }))
  }
}

type Count = (digest: Parameters<typeof keys.blob>[0], text: string) => Promise<{ bytes: number; value?: string }>

/** Adds what each entry of the family counts to its repository's total. */
async function walk(level: Level, family: 'links' | 'revisions', count: Count): Promise<void> {
  const batch = new Batch(level)
  let current: { repository: string; bytes: number } | undefined
  const finish = async () => {
    if (current === undefined || current.bytes === 0) return
    const key = keys.usage(current.repository)
    const before = Number((await level.get(key)) ?? 0)
    await batch.put(key, String(before + current.bytes))
  }
  for await (const [key, text] of level.iterator(rangeOf(`${family}\0`))) {
    const [, repository = '', digest = ''] = key.split('\0')
    if (current?.repository !== repository) {
      await finish()
      current = { repository, bytes: 0 }
    }
    // Keys of these families end in a digest that came in as one.
    const { bytes, value } = await count(digest as Parameters<typeof keys.blob>[0], text)
    current.bytes += bytes
    if (value !== undefined) await batch.put(key, value)
  }
  await finish()
  await batch.write()
}

class Batch {
  readonly #level: Level
  #puts: Put[] = []

  constructor(level: Level) {
    this.#level = level
  }

  async put(key: string, value: string): Promise<void> {
    this.#puts.push({ type: 'put', key, value })
    if (this.#puts.length >= slice) await this.write()
  }

  async write(): Promise<void> {
    if (this.#puts.length === 0) return
    const durably: { valueEncoding: string; sync: boolean } = { valueEncoding: 'utf8', sync: true }
    await this.#level.batch<string, string>(this.#puts, durably)
    this.#puts = []
  }
}
