import type { Authorize } from '../access/authorize.ts'
import { anonymous } from '../access/subject.ts'
import type { BlockSource } from '../ipfs/block-source.ts'
import type { Digest } from '../oci/digest.ts'
import { parseDigest } from '../oci/digest.ts'
import { isWholeIn } from '../registry/images/whole.ts'
import type { AbortOptions, BlobFile, BlobFiles, BlockHome, DagBuilder, MetadataStore } from '../registry/ports.ts'

/** Files kept open for peers that read leaf by leaf. */
const maxOpen = 32
/** ms after which a file nobody reads is closed. */
const idleMs = 10_000

export interface BlockSourceComponents {
  metadata: MetadataStore
  files: BlobFiles
  dags: DagBuilder
  authorize: Authorize
  /** Where a blob's file is. */
  blobPath(digest: Digest): string
}

export interface OpenBlockSource extends BlockSource {
  close(): Promise<void>
}

/** Blocks as anonymous may see them: the index, the flat files, and the access rule asked for every block. */
export function openBlockSource(components: BlockSourceComponents): OpenBlockSource {
  const { metadata } = components
  const files = new OpenFiles(components.files)
  return {
    blockHomes: (multihash, options) => metadata.blockHomes(multihash, options),
    node: (multihash, options) => metadata.node(multihash, options),
    filePath: async home => (home.startsWith('blob:') ? components.blobPath(digestOfHome(home)) : undefined),
    readRange: (home, offset, length, options) => readRange(metadata, files, home, offset, length, options),
    mayServe: (home, options) => mayServe(components, home, options),
    close: () => files.close()
  }
}

async function readRange(
  metadata: MetadataStore,
  files: OpenFiles,
  home: BlockHome,
  offset: number,
  length: number,
  options?: AbortOptions
): Promise<Uint8Array | undefined> {
  const digest = digestOfHome(home)
  if (home.startsWith('manifest:'))
    return (await metadata.manifestBytes(digest, options))?.subarray(offset, offset + length)
  return files.read(digest, offset, length, options)
}

async function mayServe(components: BlockSourceComponents, home: BlockHome, options?: AbortOptions): Promise<boolean> {
  const { metadata, authorize } = components
  const digest = digestOfHome(home)
  const open: string[] = []
  let closed = false
  for await (const repository of metadata.holders(digest, options)) {
    if (!authorize(anonymous, 'pull', repository)) closed = true
    else if (home.startsWith('image:')) open.push(repository)
    else return true
  }
  if (open.length === 0 || !closed) return open.length > 0
  // An image is kept while it is whole in one of its repositories. Where that is a private one, its directory names what
  // the public one may lack: layers of a platform that was left out.
  for (const repository of open) if (await isWholeIn(components, repository, digest, options)) return true
  return false
}

function digestOfHome(home: BlockHome): Digest {
  return parseDigest(home.slice(home.indexOf(':') + 1))
}

interface Entry {
  file: Promise<BlobFile | undefined>
  readers: number
  timer?: NodeJS.Timeout
}

/** Blob files by digest, shared by readers, closed when idle, least recently used first when there are too many. */
class OpenFiles {
  readonly #files: BlobFiles
  readonly #entries = new Map<Digest, Entry>()

  constructor(files: BlobFiles) {
    this.#files = files
  }

  async read(digest: Digest, offset: number, length: number, options?: AbortOptions): Promise<Uint8Array | undefined> {
    const entry = this.#take(digest)
    try {
      const file = await entry.file
      if (file !== undefined) return await file.pread(offset, length, options)
      this.#entries.delete(digest)
      return undefined
    } catch (error) {
      // A file that failed once is not kept: the next reader opens it anew.
      this.#entries.delete(digest)
      throw error
    } finally {
      this.#release(digest, entry)
    }
  }

  async close(): Promise<void> {
    const entries = [...this.#entries.values()]
    this.#entries.clear()
    await Promise.all(entries.map(entry => closeEntry(entry)))
  }

  #take(digest: Digest): Entry {
    const entry = this.#entries.get(digest) ?? { file: this.#files.open(digest), readers: 0 }
    clearTimeout(entry.timer)
    entry.readers++
    this.#entries.delete(digest)
    this.#entries.set(digest, entry)
    this.#shrink()
    return entry
  }

  #release(digest: Digest, entry: Entry): void {
    entry.readers--
    if (entry.readers > 0) return
    if (this.#entries.get(digest) !== entry) void closeEntry(entry)
    else if (this.#entries.size > maxOpen) this.#drop(digest, entry)
    else {
      entry.timer = setTimeout(() => this.#drop(digest, entry), idleMs)
      entry.timer.unref()
    }
  }

  #shrink(): void {
    if (this.#entries.size <= maxOpen) return
    for (const [digest, entry] of this.#entries) {
      if (entry.readers > 0) continue
      this.#drop(digest, entry)
      return
    }
  }

  #drop(digest: Digest, entry: Entry): void {
    this.#entries.delete(digest)
    void closeEntry(entry)
  }
}

async function closeEntry(entry: Entry): Promise<void> {
  clearTimeout(entry.timer)
  // Whoever opened it was told why that failed.
  const file = await entry.file.catch(() => undefined)
  await file?.close()
}
