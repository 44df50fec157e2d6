/** A chunk of a list ends early at this many bytes, since one referrer may be as large as a manifest. */
export const CHUNK_BYTES = 256 * 1024

/** One chunk of a list; `done` when nothing follows it. */
export interface Chunk<T> {
  items: T[]
  done: boolean
}

interface Cursor<T> {
  nextv(size: number): Promise<T[]>
  close(): Promise<void>
}

/** Reads one chunk and closes the cursor. */
export async function chunkOf<T>(cursor: Cursor<T>, limit: number): Promise<Chunk<T>> {
  try {
    const items = await cursor.nextv(limit)
    if (items.length >= limit) return { items, done: false }
    // Fewer than asked for is the end of the range or the limit of bytes; one more tells, for free when it is the end.
    const more = await cursor.nextv(1)
    return { items: items.concat(more), done: more.length === 0 }
  } finally {
    await cursor.close()
  }
}
