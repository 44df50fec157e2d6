import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import type { BlockSource } from '../../src/ipfs/block-source.ts'
import { UnixfsDagBuilder } from '../../src/ipfs/dag-builder.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { BlockEntry, BlockHome, BlockPlace, Dag, ImageMember } from '../../src/registry/ports.ts'

const leafSize = 1024 * 1024

/** A `BlockSource` over real files, with an index in memory: what the node composes, without a registry around it. */
export class FileSource implements BlockSource {
  readonly hidden = new Set<BlockHome>()
  readonly #dags = new UnixfsDagBuilder()
  readonly #index = new Map<string, { home: BlockHome; place: BlockPlace }[]>()
  readonly #nodes = new Map<string, Uint8Array>()
  readonly #files = new Map<BlockHome, FileHandle>()
  readonly #paths = new Map<BlockHome, string>()
  readonly #tellsPaths: boolean
  /** Ranges read here so far. */
  reads = 0

  /** @param init `paths`: tells where its files are, so that whoever reads can read by itself. Default false. */
  constructor(init: { paths?: boolean } = {}) {
    this.#tellsPaths = init.paths ?? false
  }

  /** Serves a file as a blob. */
  async addFile(path: string): Promise<ImageMember> {
    const handle = await open(path)
    const { size } = await handle.stat()
    const whole = createHash('sha256')
    const leaves: Buffer[] = []
    const buffer = Buffer.alloc(leafSize)
    for (let offset = 0; offset === 0 || offset < size; offset += leafSize) {
      const { bytesRead } = await handle.read(buffer, 0, leafSize, offset)
      whole.update(buffer.subarray(0, bytesRead))
      leaves.push(createHash('sha256').update(buffer.subarray(0, bytesRead)).digest())
    }
    const digest: Digest = `sha256:${whole.digest('hex')}`
    const dag = this.#dags.file({ size, leaves: Buffer.concat(leaves) })
    const home: BlockHome = `blob:${digest}`
    await this.#files.get(home)?.close()
    this.#files.set(home, handle)
    this.#paths.set(home, path)
    this.#put(home, dag.blocks)
    return { digest, root: dag.root, dagSize: dag.dagSize }
  }

  /** Serves the image directory of files already added. */
  async addImage(manifest: { digest: Digest; mediaType: string; size: number }, members: ImageMember[]): Promise<Dag> {
    const dag = await this.#dags.image(manifest, members)
    this.#put(`image:${manifest.digest}`, dag.blocks)
    return dag
  }

  put(home: BlockHome, entries: Iterable<BlockEntry>): void {
    this.#put(home, entries)
  }

  #put(home: BlockHome, entries: Iterable<BlockEntry>): void {
    for (const { multihash, place, bytes } of entries) {
      const key = Buffer.from(multihash).toString('hex')
      this.#index.set(key, [...(this.#index.get(key) ?? []), { home, place }])
      if (bytes !== undefined) this.#nodes.set(key, bytes)
    }
  }

  async *blockHomes(multihash: Uint8Array): AsyncGenerator<{ home: BlockHome; place: BlockPlace }> {
    yield* this.#index.get(Buffer.from(multihash).toString('hex')) ?? []
  }

  async node(multihash: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#nodes.get(Buffer.from(multihash).toString('hex'))
  }

  async readRange(home: BlockHome, offset: number, length: number): Promise<Uint8Array | undefined> {
    const handle = this.#files.get(home)
    if (handle === undefined) return undefined
    this.reads++
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(length), 0, length, offset)
    return buffer.subarray(0, bytesRead)
  }

  async filePath(home: BlockHome): Promise<string | undefined> {
    return this.#tellsPaths ? this.#paths.get(home) : undefined
  }

  async mayServe(home: BlockHome): Promise<boolean> {
    return !this.hidden.has(home)
  }

  /** Makes every read fail as a broken disk would. */
  async closeHandles(): Promise<void> {
    for (const handle of this.#files.values()) await handle.close()
  }

  async close(): Promise<void> {
    await this.closeHandles()
    this.#files.clear()
  }
}
