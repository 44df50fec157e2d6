import { randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { imageManifest } from '../registry/temporary-registry.ts'

/** What a node has promised by an answer. */
export type Promised =
  | { kind: 'blob'; repository: string; digest: Digest; size: number }
  | { kind: 'tag'; repository: string; tag: string; digest: Digest }
  | { kind: 'deleted'; repository: string; tag: string }
  | { kind: 'staged'; repository: string; location: string; bytes: Buffer }

/** One request after the other over one connection, each under an `X-Request-Id` of its own. */
export class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  readonly #base: string
  readonly #onAcknowledged: (id: string, promised: Promised) => void
  readonly #prefix = randomBytes(4).toString('hex')
  #requests = 0

  constructor(base: string, onAcknowledged: (id: string, promised: Promised) => void) {
    this.#base = base
    this.#onAcknowledged = onAcknowledged
  }

  close(): void {
    this.#agent.destroy()
  }

  async pushBlob(repository: string, bytes: Buffer, chunks = 1): Promise<Digest> {
    const digest = digestOf(bytes)
    let location = await this.#expect(202, 'POST', `/v2/${repository}/blobs/uploads/`)
    const size = Math.ceil(bytes.length / chunks)
    for (let index = 0; index < chunks && chunks > 1; index++) {
      const chunk = bytes.subarray(index * size, (index + 1) * size)
      location = await this.#expect(202, 'PATCH', location, chunk)
      const staged = bytes.subarray(0, index * size + chunk.length)
      this.#onAcknowledged(this.#id(), { kind: 'staged', repository, location, bytes: staged })
    }
    const path = `${location}${location.includes('?') ? '&' : '?'}digest=${digest}`
    await this.#expect(201, 'PUT', path, chunks > 1 ? Buffer.alloc(0) : bytes)
    this.#onAcknowledged(this.#id(), { kind: 'blob', repository, digest, size: bytes.length })
    return digest
  }

  async pushImage(repository: string, tag: string, layers: readonly Buffer[], chunks = 1): Promise<void> {
    const config = Buffer.from(JSON.stringify({ random: randomBytes(6).toString('hex') }))
    for (const blob of [config, ...layers]) await this.pushBlob(repository, blob, blob === config ? 1 : chunks)
    const manifest = imageManifest(config, layers)
    await this.#expect(
      201,
      'PUT',
      `/v2/${repository}/manifests/${tag}`,
      manifest,
      'application/vnd.oci.image.manifest.v1+json'
    )
    this.#onAcknowledged(this.#id(), { kind: 'tag', repository, tag, digest: digestOf(manifest) })
  }

  async deleteTag(repository: string, tag: string): Promise<void> {
    await this.#expect(202, 'DELETE', `/v2/${repository}/manifests/${tag}`)
    this.#onAcknowledged(this.#id(), { kind: 'deleted', repository, tag })
  }

  /** The id of the last request. */
  #id(): string {
    return `${this.#prefix}-${this.#requests}`
  }

  async #expect(
    status: number,
    method: string,
    path: string,
    body?: Buffer,
    type = 'application/octet-stream'
  ): Promise<string> {
    this.#requests++
    const headers = { 'X-Request-Id': this.#id(), 'Content-Type': type, 'Content-Length': body?.length ?? 0 }
    const url = new URL(path, this.#base)
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const sent = request(url, { method, agent: this.#agent, headers }, response => {
      response.resume().once('end', () => {
        if (response.statusCode === status) resolve(response.headers.location ?? '')
        else reject(new Error(`${method} ${path}: ${response.statusCode}`))
      })
      response.once('error', reject)
    })
    sent.once('error', reject)
    sent.end(body)
    return promise
  }
}
