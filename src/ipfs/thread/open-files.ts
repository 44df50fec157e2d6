import { type FileHandle, open } from 'node:fs/promises'

/** Files kept open for peers that read leaf by leaf, and ms until one that nobody reads is closed. */
const maxOpen = 32
const idleTimeout = 10_000

interface Entry {
  handle: Promise<FileHandle | undefined>
  readers: number
  timer?: NodeJS.Timeout
}

/** Open files by a key, found by path when they are first read. A file that is deleted goes when it is closed. */
export class OpenFiles<Key extends string> {
  readonly #entries = new Map<Key, Entry>()
  readonly #pathOf: (key: Key) => Promise<string | undefined>

  constructor(pathOf: (key: Key) => Promise<string | undefined>) {
    this.#pathOf = pathOf
  }

  /** `length` bytes at `offset`, fewer at the end of the file; `undefined` when there is no such file. */
  async read(key: Key, offset: number, length: number): Promise<Uint8Array | undefined> {
    const entry = this.#take(key)
    try {
      const handle = await entry.handle
      if (handle === undefined) {
        this.forget(key)
        return undefined
      }
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafeSlow(length), 0, length, offset)
      return buffer.subarray(0, bytesRead)
    } catch (error) {
      this.forget(key)
      throw error
    } finally {
      this.#release(key, entry)
    }
  }

  /** The next read opens the file anew. */
  forget(key: Key): void {
    const entry = this.#entries.get(key)
    this.#entries.delete(key)
    if (entry?.readers === 0) close(entry)
  }

  close(): void {
    for (const key of [...this.#entries.keys()]) this.forget(key)
  }

  #take(key: Key): Entry {
    const entry = this.#entries.get(key) ?? { handle: this.#open(key), readers: 0 }
    clearTimeout(entry.timer)
    entry.readers++
    // Last in the order of the map: the first that nobody reads is the longest unused.
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    if (this.#entries.size > maxOpen) {
      const unused = [...this.#entries].find(([, { readers }]) => readers === 0)
      if (unused !== undefined) this.forget(unused[0])
    }
    return entry
  }

  #release(key: Key, entry: Entry): void {
    entry.readers--
    if (entry.readers > 0) return
    if (this.#entries.get(key) !== entry) close(entry)
    else entry.timer = setTimeout(() => this.forget(key), idleTimeout).unref()
  }

  async #open(key: Key): Promise<FileHandle | undefined> {
    const path = await this.#pathOf(key)
    if (path === undefined) return undefined
    try {
      return await open(path)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw error
    }
  }
}

function close(entry: Entry): void {
  clearTimeout(entry.timer)
  // Whoever read it was told what was wrong with it.
  entry.handle.then(handle => handle?.close()).catch(() => {})
}
