import { randomUUID } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import * as multihash from 'multiformats/hashes/digest'
import { RegistryError } from '../../src/errors.ts'
import { algorithmOf, type Digest, digestOf, encodedOf, type WellFormedDigest } from '../../src/oci/digest.ts'
import type { ReferrerDescriptor } from '../../src/registry/ports.ts'
import type {
  AsideFile,
  BlobReading,
  BlobView,
  DamageCounts,
  GcOptions,
  GcReport,
  IfMatch,
  Inspection,
  ManifestReading,
  Page,
  PageRequest,
  PutManifestRequest,
  Registry,
  RepositoryRemoval,
  RepositoryRemovalPlan,
  ScrubReport,
  TagRemoval,
  TagRemovalPlan,
  UntaggedManifest,
  UploadBody
} from '../../src/registry/registry.ts'

/** What a test wants to know or change about how a blob is read. */
export interface BlobBehaviour {
  /** Chunks are given this many bytes at a time. Default: all at once. */
  chunk?: number
  /** Throw before this byte. */
  failAt?: number
}

/**
 * The use cases on maps, for tests of the HTTP side alone: nothing here is durable, verified against rot, or fast. Only what
 * a response depends on is modelled.
 */
export class MemoryRegistry implements Registry {
  readonly blobs = new Map<string, Uint8Array>()
  readonly manifests = new Map<string, ManifestReading>()
  readonly tagged = new Map<string, Digest>()
  readonly uploads = new Map<string, { repository: string; bytes: Buffer }>()
  readonly referrers: ReferrerDescriptor[] = []
  /** Every limit a list was asked for. */
  readonly limits: number[] = []
  damage: DamageCounts = { blobs: 0, manifests: 0 }
  /** Files under `quarantine/`. */
  readonly aside: AsideFile[] = []
  behaviour: BlobBehaviour = {}
  /** Readings not closed yet. */
  open = 0
  /** Iterations of readings not ended yet. */
  iterating = 0
  /** Thrown by getManifest. */
  failure: Error | undefined
  /** Resolved by a test to let getManifest go on. */
  gate: Promise<void> | undefined
  /** Signals that uploads and manifest reads were given. */
  readonly signals: AbortSignal[] = []

  addBlob(repository: string, bytes: Uint8Array): Digest {
    const digest = digestOf(bytes)
    this.blobs.set(`${repository}@${digest}`, bytes)
    return digest
  }

  addManifest(
    repository: string,
    bytes: Uint8Array,
    init: { mediaType?: string; tags?: string[]; image?: CID } = {}
  ): Digest {
    const digest = digestOf(bytes)
    const mediaType = init.mediaType ?? 'application/vnd.oci.image.manifest.v1+json'
    const image = init.image === undefined ? {} : { image: init.image }
    this.manifests.set(`${repository}@${digest}`, { digest, mediaType, size: bytes.byteLength, bytes, ...image })
    for (const tag of init.tags ?? []) this.tagged.set(`${repository}:${tag}`, digest)
    return digest
  }

  async statBlob(repository: string, digest: Digest): Promise<BlobView> {
    const bytes = this.blobs.get(`${repository}@${digest}`)
    if (bytes === undefined) throw new RegistryError('BLOB_UNKNOWN', { detail: { digest } })
    return view(digest, bytes.byteLength)
  }

  async openBlob(repository: string, digest: Digest): Promise<BlobReading> {
    const bytes = this.blobs.get(`${repository}@${digest}`)
    if (bytes === undefined) throw new RegistryError('BLOB_UNKNOWN', { detail: { digest } })
    this.open++
    let closed = false
    return {
      ...view(digest, bytes.byteLength),
      read: ranges => this.#readAll(bytes, ranges ?? [{ start: 0, end: bytes.byteLength }]),
      close: async () => {
        if (!closed) this.open--
        closed = true
      }
    }
  }

  async *#readAll(bytes: Uint8Array, ranges: readonly { start: number; end: number }[]): AsyncGenerator<Uint8Array> {
    for (const { start, end } of ranges) yield* this.#read(bytes, start, end)
  }

  /** One buffer for all chunks, as a port may: a chunk kept past its time shows as wrong bytes. */
  async *#read(bytes: Uint8Array, start: number, end: number): AsyncGenerator<Uint8Array> {
    const { chunk = end - start, failAt } = this.behaviour
    const shared = new Uint8Array(Math.max(1, chunk))
    this.iterating++
    try {
      for (let at = start; at < end; at += chunk) {
        const size = Math.min(chunk, end - at)
        if (failAt !== undefined && at + size > failAt) throw new RegistryError('CONTENT_CORRUPT')
        shared.fill(0)
        shared.set(bytes.subarray(at, at + size))
        yield shared.subarray(0, size)
      }
    } finally {
      this.iterating--
    }
  }

  async deleteBlob(repository: string, digest: Digest): Promise<void> {
    if (!this.blobs.delete(`${repository}@${digest}`)) throw new RegistryError('BLOB_UNKNOWN')
  }

  async startUpload(repository: string): Promise<{ id: string; size: number }> {
    const id = randomUUID()
    this.uploads.set(id, { repository, bytes: Buffer.alloc(0) })
    return { id, size: 0 }
  }

  async mountBlob(
    repository: string,
    digest: Digest,
    from: string | undefined,
    mayPull: (repository: string) => boolean
  ): Promise<BlobView | undefined> {
    for (const [key, bytes] of this.blobs) {
      const [holder = '', held] = key.split('@')
      if (held !== digest || (from !== undefined && holder !== from) || !mayPull(holder)) continue
      this.blobs.set(`${repository}@${digest}`, bytes)
      return view(digest, bytes.byteLength)
    }
    return undefined
  }

  async uploadStatus(repository: string, id: string): Promise<{ id: string; size: number }> {
    return { id, size: this.#upload(repository, id).bytes.byteLength }
  }

  async appendUpload(
    repository: string,
    id: string,
    body: UploadBody,
    options?: { signal?: AbortSignal }
  ): Promise<{ id: string; size: number }> {
    const upload = this.#upload(repository, id)
    if (options?.signal !== undefined) this.signals.push(options.signal)
    if (body.start !== undefined && body.start !== upload.bytes.byteLength) {
      throw new RegistryError('BLOB_UPLOAD_OUT_OF_ORDER')
    }
    if (body.offset !== undefined && body.start === undefined) upload.bytes = upload.bytes.subarray(0, body.offset)
    let taken = 0
    for await (const chunk of body.bytes) {
      upload.bytes = Buffer.concat([upload.bytes, chunk])
      taken += chunk.byteLength
    }
    if (body.length !== undefined && taken !== body.length) throw new RegistryError('SIZE_INVALID')
    return { id, size: upload.bytes.byteLength }
  }

  async finishUpload(
    repository: string,
    id: string,
    digest: Digest,
    body: UploadBody | undefined,
    options?: { signal?: AbortSignal }
  ): Promise<BlobView> {
    if (body !== undefined) await this.appendUpload(repository, id, body, options)
    const { bytes } = this.#upload(repository, id)
    if (digestOf(bytes, algorithmOf(digest)) !== digest) throw new RegistryError('DIGEST_INVALID')
    this.blobs.set(`${repository}@${digest}`, bytes)
    this.uploads.delete(id)
    return view(digest, bytes.byteLength)
  }

  async cancelUpload(repository: string, id: string): Promise<void> {
    this.#upload(repository, id)
    this.uploads.delete(id)
  }

  async getManifest(
    repository: string,
    reference: { tag: string } | { digest: Digest },
    options?: { signal?: AbortSignal }
  ): Promise<ManifestReading> {
    if (options?.signal !== undefined) this.signals.push(options.signal)
    await this.gate
    if (this.failure !== undefined) throw this.failure
    const digest = 'digest' in reference ? reference.digest : this.tagged.get(`${repository}:${reference.tag}`)
    const reading = this.manifests.get(`${repository}@${digest}`)
    if (reading === undefined) throw new RegistryError('MANIFEST_UNKNOWN')
    return reading
  }

  async putManifest(repository: string, request: PutManifestRequest) {
    const digest = digestOf(request.bytes, request.digest === undefined ? 'sha256' : algorithmOf(request.digest))
    if (request.digest !== undefined && request.digest !== digest) throw new RegistryError('DIGEST_INVALID')
    const current = this.tagged.get(`${repository}:${request.tags[0]}`)
    if (request.ifMatch?.every(value => value !== current && !(value === '*' && current !== undefined))) {
      throw new RegistryError('MANIFEST_CHANGED')
    }
    if (current !== undefined && request.ifNoneMatch?.some(value => value === current || value === '*')) {
      throw new RegistryError('MANIFEST_CHANGED')
    }
    const { bytes, mediaType, tags } = request
    const reading = { digest, mediaType, size: bytes.byteLength, bytes }
    this.manifests.set(`${repository}@${digest}`, reading)
    for (const tag of tags) this.tagged.set(`${repository}:${tag}`, digest)
    const text = Buffer.from(bytes).toString()
    const subject: Digest | undefined = text.startsWith('{') ? JSON.parse(text).subject?.digest : undefined
    return { ...reading, tags, ...(subject === undefined ? {} : { subject }) }
  }

  async deleteManifest(repository: string, digest: Digest, { ifMatch }: { ifMatch?: IfMatch } = {}): Promise<void> {
    if (ifMatch !== undefined && !ifMatch.includes(digest)) throw new RegistryError('MANIFEST_CHANGED')
    if (!this.manifests.delete(`${repository}@${digest}`)) throw new RegistryError('MANIFEST_UNKNOWN')
  }

  async deleteTag(repository: string, tag: string, { ifMatch }: { ifMatch?: IfMatch } = {}): Promise<void> {
    const current = this.tagged.get(`${repository}:${tag}`)
    if (current !== undefined && ifMatch?.includes(current) === false) throw new RegistryError('MANIFEST_CHANGED')
    if (!this.tagged.delete(`${repository}:${tag}`)) throw new RegistryError('MANIFEST_UNKNOWN')
  }

  async planTagRemoval(repository: string, tags: readonly string[]): Promise<TagRemovalPlan> {
    const named = tags.map(tag => ({ tag, digest: this.tagged.get(`${repository}:${tag}`) }))
    const planned = named.map(({ tag, digest }) => (digest === undefined ? { tag } : { tag, digest }))
    return { tags: planned, manifests: [], count: 0, atLeast: false }
  }

  async removeTag(
    repository: string,
    tag: string,
    _options?: Parameters<Registry['removeTag']>[2]
  ): Promise<TagRemoval> {
    const digest = this.tagged.get(`${repository}:${tag}`)
    if (digest === undefined) throw new RegistryError('MANIFEST_UNKNOWN')
    this.tagged.delete(`${repository}:${tag}`)
    return { digest, manifests: 0 }
  }

  async planRepositoryRemoval(): Promise<RepositoryRemovalPlan> {
    return { tags: this.tagged.size, manifests: this.manifests.size, bytes: 0 }
  }

  async removeRepository(): Promise<RepositoryRemoval> {
    const tags = this.tagged.size
    this.tagged.clear()
    return { tags, manifests: 0, links: 0 }
  }

  async *untagged(): AsyncGenerator<UntaggedManifest> {
    for (const [key, { digest, mediaType, size }] of this.manifests) {
      const repository = key.split('@')[0] ?? ''
      if (![...this.tagged.values()].includes(digest)) yield { repository, digest, mediaType, size }
    }
  }

  async listTags(repository: string, page: PageRequest): Promise<Page<string>> {
    const names = [...this.tagged.keys()]
      .filter(key => key.startsWith(`${repository}:`))
      .map(key => key.slice(repository.length + 1))
    if (names.length === 0) throw new RegistryError('NAME_UNKNOWN')
    return this.#cut(names.sort(), page, name => name)
  }

  async listRepositories(page: PageRequest, visible: (repository: string) => boolean): Promise<Page<string>> {
    const names = new Set([...this.tagged.keys()].map(key => key.split(':')[0] ?? ''))
    return this.#cut([...names].sort().filter(visible), page, name => name)
  }

  async listReferrers(
    _repository: string,
    _subject: WellFormedDigest,
    page: PageRequest & { artifactType?: string }
  ): Promise<Page<ReferrerDescriptor>> {
    const { artifactType } = page
    const items = this.referrers.filter(item => artifactType === undefined || item.artifactType === artifactType)
    const { maxBytes = Number.POSITIVE_INFINITY } = page
    let bytes = 0
    const from = items.findIndex(item => page.after === undefined || item.digest > page.after)
    const fitting = items.slice(Math.max(0, from)).findIndex(item => {
      bytes += JSON.stringify(item).length + 1
      return bytes > maxBytes
    })
    const limit = Math.min(page.limit, fitting < 0 ? page.limit : Math.max(1, fitting))
    return this.#cut(items, { ...page, limit }, item => item.digest)
  }

  async inspect(repository: string, reference: { tag: string } | { digest: Digest }): Promise<Inspection> {
    const { digest, mediaType, size } = await this.getManifest(repository, reference)
    return { repository, digest, mediaType, size, cid: String(cidOf(digest)), manifest: {}, layers: [], manifests: [] }
  }

  async collectGarbage(options?: GcOptions): Promise<GcReport> {
    const nothing = { manifests: 0, blobs: 0, bytes: 0 }
    const spared = { recent: nothing, untagged: nothing }
    const freed = { dryRun: options?.dryRun ?? false, links: 0, manifests: 0, blobs: 1, bytes: 2 }
    const report = { ...freed, spared, serving: true, graceMs: options?.graceMs ?? 0, untaggedMs: null, atLeast: false }
    options?.onProgress?.(report)
    return report
  }

  async purgeUploads(): Promise<number> {
    return 0
  }

  async scrub(): Promise<ScrubReport> {
    if (this.failure !== undefined) throw this.failure
    return { blobs: 0, manifests: 0, bytes: 0, damages: 0, incomplete: 0, quarantine: { files: 0, bytes: 0 } }
  }

  async countDamage(): Promise<DamageCounts> {
    return this.damage
  }

  async *listQuarantine(): AsyncGenerator<AsideFile> {
    yield* this.aside
  }

  async removeQuarantined(name: string): Promise<void> {
    const at = this.aside.findIndex(file => file.name === name)
    if (at < 0) throw new RegistryError('NOT_FOUND')
    this.aside.splice(at, 1)
  }

  #upload(repository: string, id: string): { repository: string; bytes: Buffer } {
    const upload = this.uploads.get(id)
    if (upload === undefined || upload.repository !== repository) throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
    return upload
  }

  #cut<T>(items: readonly T[], { after, limit }: PageRequest, key: (item: T) => string): Page<T> {
    this.limits.push(limit)
    const rest = after === undefined ? items : items.filter(item => key(item) > after)
    const page = rest.slice(0, limit)
    const last = page.at(-1)
    return rest.length > limit && last !== undefined ? { items: page, next: key(last) } : { items: page }
  }
}

/** A raw-leaf CID with the very hash of the digest. */
export function cidOf(digest: Digest): CID {
  const code = algorithmOf(digest) === 'sha256' ? 0x12 : 0x13
  return CID.createV1(raw.code, multihash.create(code, Buffer.from(encodedOf(digest), 'hex')))
}

function view(digest: Digest, size: number): BlobView {
  return { digest, size, root: cidOf(digest) }
}
