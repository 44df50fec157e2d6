/** What a registry must have after what it acknowledged, and the steps that find out. */
import http from 'node:http'
import { expect } from 'vitest'
import { type Digest, type DigestAlgorithm, digestOf } from '../../src/oci/digest.ts'
import { type Answer, codesOf, configBytes, expectForm, manifestOf, type Server, types } from './server.ts'
import { exchange, requestOf } from './wire.ts'

/** Bytes as they are, or many of one kind, which a counterexample can be read with. */
export type Content = Uint8Array | { size: number; fill: number }

export function bytesOf(content: Content): Buffer {
  return content instanceof Uint8Array ? Buffer.from(content) : Buffer.alloc(content.size, content.fill)
}

export type Step =
  | { do: 'open'; repository: number; algorithm: DigestAlgorithm | undefined }
  | { do: 'append'; session: number; bytes: Content; start: 'right' | 'wrong' | 'untold'; streamed: boolean }
  | { do: 'close'; session: number; bytes: Content; algorithm: DigestAlgorithm; digest: 'right' | 'wrong' }
  | { do: 'status' | 'cancel'; session: number }
  | { do: 'post'; repository: number; bytes: Content; algorithm: DigestAlgorithm; digest: 'right' | 'wrong' }
  | { do: 'mount'; repository: number; from: number | undefined; blob: number }
  | { do: 'delete blob'; repository: number; blob: number }
  | { do: 'tag'; repository: number; tag: string; layers: number[]; note: string }
  | { do: 'delete tag'; repository: number; tag: string }
  | { do: 'read'; repository: number; blob: number; range: readonly [number, number] | undefined }
  | { do: 'wild'; method: string; path: string; headers: string[]; body: Content }
  | { do: 'garbage'; body: string; at: number; insert: Uint8Array }

interface Session {
  repository: string
  location: string
  bytes: Buffer
  open: boolean
}

/** What happened so far, over all runs: a fuzzer that nothing answers well finds nothing. */
export interface Tally {
  steps: Map<string, number>
  statuses: Map<number, number>
}

/** One run against repositories of its own. */
export class Model {
  readonly #server: Server
  /** Of a door to the same registry that waits for nobody. */
  readonly #hastyPort: number
  readonly #agent: http.Agent
  readonly #prefix: string
  readonly #tally: Tally
  readonly #sessions: Session[] = []
  /** Every blob that a repository must have. */
  readonly #blobs = new Map<string, Map<Digest, Buffer>>()
  /** Every content there ever was, so that steps can name some. */
  readonly #contents: Buffer[] = [configBytes]
  readonly #tags = new Map<string, Buffer>()

  constructor(server: Server, hastyPort: number, agent: http.Agent, prefix: string, tally: Tally) {
    this.#server = server
    this.#hastyPort = hastyPort
    this.#agent = agent
    this.#prefix = prefix
    this.#tally = tally
  }

  async take(step: Step): Promise<void> {
    this.#tally.steps.set(step.do, (this.#tally.steps.get(step.do) ?? 0) + 1)
    switch (step.do) {
      case 'open':
        return this.#open(step)
      case 'append':
        return this.#append(step)
      case 'close':
        return this.#close(step)
      case 'status':
      case 'cancel':
        return this.#statusOrCancel(step)
      case 'post':
        return this.#post(step)
      case 'mount':
        return this.#mount(step)
      case 'delete blob':
        return this.#deleteBlob(step)
      case 'tag':
        return this.#tag(step)
      case 'delete tag':
        return this.#deleteTag(step)
      case 'read':
        return this.#read(step)
      case 'wild':
        return this.#wild(step)
      case 'garbage':
        return this.#garbage(step)
    }
  }

  /** Everything acknowledged can be read, byte for byte, and every session stands where it was left. */
  async verify(): Promise<void> {
    for (const [repository, blobs] of this.#blobs) {
      for (const [digest, bytes] of blobs) {
        const answer = await this.#ask('GET', `/v2/${repository}/blobs/${digest}`)
        expect(answer.status).toBe(200)
        expect(answer.body.equals(bytes)).toBe(true)
      }
    }
    for (const [path, bytes] of this.#tags) {
      const answer = await this.#ask('GET', path)
      expect(answer.status).toBe(200)
      expect(answer.body.equals(bytes)).toBe(true)
    }
    for (const session of this.#sessions) {
      await this.#expectStanding(session)
      if (session.open) expect((await this.#ask('DELETE', session.location)).status).toBe(204)
    }
  }

  async #open({ repository, algorithm }: Step & { do: 'open' }): Promise<void> {
    const name = this.#repository(repository)
    const query = algorithm === undefined ? '' : `?digest-algorithm=${algorithm}`
    const answer = await this.#ask('POST', `/v2/${name}/blobs/uploads/${query}`)
    expect(answer.status).toBe(202)
    const location = answer.headers.location ?? ''
    this.#sessions.push({ repository: name, location, bytes: Buffer.alloc(0), open: true })
  }

  async #append(step: Step & { do: 'append' }): Promise<void> {
    const session = this.#session(step.session)
    if (session === undefined) return
    const bytes = bytesOf(step.bytes)
    const start = session.bytes.length + (step.start === 'wrong' ? 1 : 0)
    const headers: http.OutgoingHttpHeaders = {}
    if (step.start !== 'untold' && bytes.length > 0) headers['Content-Range'] = `${start}-${start + bytes.length - 1}`
    if (step.streamed) headers['Transfer-Encoding'] = 'chunked'
    else headers['Content-Length'] = bytes.length
    const answer = await this.#ask('PATCH', session.location, headers, bytes)
    if (!session.open) expect(answer).toMatchObject({ status: 404, codes: ['BLOB_UPLOAD_UNKNOWN'] })
    else if (step.start === 'wrong' && bytes.length > 0) expect(answer.status).toBe(416)
    else {
      expect(answer.status).toBe(202)
      session.bytes = Buffer.concat([session.bytes, bytes])
    }
    await this.#expectStanding(session)
  }

  async #close(step: Step & { do: 'close' }): Promise<void> {
    const session = this.#session(step.session)
    if (session === undefined) return
    const body = bytesOf(step.bytes)
    const whole = Buffer.concat([session.bytes, body])
    const named = step.digest === 'right' ? whole : Buffer.concat([whole, Buffer.of(1)])
    const digest = digestOf(named, step.algorithm)
    const answer = await this.#ask(
      'PUT',
      `${session.location}?digest=${digest}`,
      { 'Content-Length': body.length },
      body
    )
    if (!session.open) {
      // The session is gone: a repeat of what closed it is answered as the first was, anything else is not known.
      if (!this.#holds(session.repository, digest)) {
        expect(answer).toMatchObject({ status: 404, codes: ['BLOB_UPLOAD_UNKNOWN'] })
      } else expect(answer).toMatchObject({ status: 201, headers: { 'docker-content-digest': digest } })
    } else if (step.digest === 'wrong') {
      expect(answer).toMatchObject({ status: 400, codes: ['DIGEST_INVALID'] })
      // The bytes came, only their name was wrong.
      session.bytes = whole
    } else {
      expect(answer).toMatchObject({ status: 201, headers: { 'docker-content-digest': digest } })
      session.open = false
      this.#acknowledged(session.repository, digest, whole)
    }
    await this.#expectStanding(session)
  }

  async #statusOrCancel(step: Step & { do: 'status' | 'cancel' }): Promise<void> {
    const session = this.#session(step.session)
    if (session === undefined) return
    await this.#expectStanding(session)
    if (step.do === 'status') return
    expect((await this.#ask('DELETE', session.location)).status).toBe(session.open ? 204 : 404)
    session.open = false
  }

  async #post(step: Step & { do: 'post' }): Promise<void> {
    const bytes = bytesOf(step.bytes)
    const named = step.digest === 'right' ? bytes : Buffer.concat([bytes, Buffer.of(1)])
    const digest = digestOf(named, step.algorithm)
    const name = this.#repository(step.repository)
    const headers = { 'Content-Length': bytes.length }
    const answer = await this.#ask('POST', `/v2/${name}/blobs/uploads/?digest=${digest}`, headers, bytes)
    if (step.digest === 'right' && answer.status === 201) return this.#acknowledged(name, digest, bytes)
    // Without a body it is a session to PUT to.
    if (bytes.length === 0 && step.digest === 'wrong') {
      expect(answer.status).toBe(202)
      const location = answer.headers.location ?? ''
      this.#sessions.push({ repository: name, location, bytes: Buffer.alloc(0), open: true })
    } else expect(answer).toMatchObject({ status: 400, codes: ['DIGEST_INVALID'] })
  }

  async #mount(step: Step & { do: 'mount' }): Promise<void> {
    const bytes = this.#content(step.blob)
    const digest = digestOf(bytes)
    const name = this.#repository(step.repository)
    const from = step.from === undefined ? undefined : this.#repository(step.from)
    const query = `mount=${digest}${from === undefined ? '' : `&from=${from}`}`
    const answer = await this.#ask('POST', `/v2/${name}/blobs/uploads/?${query}`)
    if (from !== undefined) expect(answer.status).toBe(this.#holds(from, digest) ? 201 : 202)
    if (answer.status === 201) this.#acknowledged(name, digest, bytes)
    else {
      const location = answer.headers.location ?? ''
      this.#sessions.push({ repository: name, location, bytes: Buffer.alloc(0), open: true })
    }
  }

  async #deleteBlob(step: Step & { do: 'delete blob' }): Promise<void> {
    const digest = digestOf(this.#content(step.blob))
    const name = this.#repository(step.repository)
    const answer = await this.#ask('DELETE', `/v2/${name}/blobs/${digest}`)
    expect(answer.status).toBe(this.#holds(name, digest) ? 202 : 404)
    this.#blobs.get(name)?.delete(digest)
  }

  async #tag(step: Step & { do: 'tag' }): Promise<void> {
    const name = this.#repository(step.repository)
    const layers = step.layers.map(layer => this.#content(layer))
    const bytes = manifestOf(layers, { annotations: { note: step.note } })
    const path = `/v2/${name}/manifests/${step.tag}`
    const headers = { 'Content-Type': types.manifest, 'Content-Length': bytes.length }
    const answer = await this.#ask('PUT', path, headers, bytes)
    const complete = [configBytes, ...layers].every(blob => this.#holds(name, digestOf(blob)))
    expect(answer.status).toBe(complete ? 201 : 404)
    if (complete) this.#tags.set(path, bytes)
    else expect(new Set(answer.codes)).toEqual(new Set(['MANIFEST_BLOB_UNKNOWN']))
  }

  async #deleteTag(step: Step & { do: 'delete tag' }): Promise<void> {
    const path = `/v2/${this.#repository(step.repository)}/manifests/${step.tag}`
    const answer = await this.#ask('DELETE', path)
    expect(answer.status).toBe(this.#tags.delete(path) ? 202 : 404)
  }

  async #read(step: Step & { do: 'read' }): Promise<void> {
    const bytes = this.#content(step.blob)
    const digest = digestOf(bytes)
    const name = this.#repository(step.repository)
    const headers = step.range === undefined ? {} : { Range: `bytes=${step.range[0]}-${step.range[1]}` }
    const answer = await this.#ask('GET', `/v2/${name}/blobs/${digest}`, headers)
    if (!this.#holds(name, digest)) expect(answer).toMatchObject({ status: 404, codes: ['BLOB_UNKNOWN'] })
    else if (answer.status === 200) expect(answer.body.equals(bytes)).toBe(true)
    else if (answer.status === 206) {
      const [first, last] = step.range ?? [0, 0]
      expect(answer.body.equals(bytes.subarray(first, last + 1))).toBe(true)
    } else expect(answer.status).toBe(416)
  }

  /** A request made of parts of real ones: nothing is known of its answer but its form. */
  async #wild({ method, path, headers, body }: Step & { do: 'wild' }): Promise<void> {
    const filled = path.replaceAll('{session}', this.#sessions.at(-1)?.location.split('/').at(-1) ?? 'none')
    const request = requestOf(method, filled, headers, bytesOf(body))
    this.#expectRaw(await exchange(this.#hastyPort, request, { methods: [method] }))
  }

  /** A good request with something else in the middle of it. */
  async #garbage({ body, at, insert }: Step & { do: 'garbage' }): Promise<void> {
    const good = requestOf('PUT', '/v2/garbage/manifests/x', [`Content-Type: ${types.manifest}`], Buffer.from(body))
    const place = at % (good.length + 1)
    const bad = Buffer.concat([good.subarray(0, place), insert, good.subarray(place)])
    this.#expectRaw(await exchange(this.#hastyPort, bad, { halfClose: true }))
  }

  #expectRaw(answers: Awaited<ReturnType<typeof exchange>>): void {
    for (const { status, headers, body } of answers) {
      this.#count(status)
      expect([500, 501, 502, 504, 505]).not.toContain(status)
      if (status >= 500) expect(codesOf(status, body)).toEqual(['UNAVAILABLE'])
      codesOf(status, body)
      if (status >= 400) expect(headers['content-type']).toMatch(/^application\/json/)
    }
  }

  /** And says where it goes on from here, as every client has to ask that did not get a 202. */
  async #expectStanding(session: Session): Promise<void> {
    const { location, open, bytes } = session
    const status = await this.#ask('GET', location)
    expect(status.status).toBe(open ? 204 : 404)
    if (!open) return
    expect(status.headers.range).toBe(`0-${Math.max(0, bytes.length - 1)}`)
    session.location = status.headers.location ?? ''
  }

  #ask(method: string, path: string, headers: http.OutgoingHttpHeaders = {}, body?: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.#server.port, path, method, headers, agent: this.#agent }
      const request = http.request(options)
      request.on('error', reject)
      request.on('response', response => {
        const chunks: Buffer[] = []
        response.on('error', reject)
        response.on('data', chunk => chunks.push(chunk))
        response.on('end', () => {
          const whole = Buffer.concat(chunks)
          const status = response.statusCode ?? 0
          this.#count(status)
          const { rawHeaders } = response
          const codes = codesOf(status, whole)
          const answer = { status, headers: response.headers, rawHeaders, body: whole, codes }
          expectForm(answer, method)
          resolve(answer)
        })
      })
      request.end(body)
    })
  }

  #count(status: number): void {
    this.#tally.statuses.set(status, (this.#tally.statuses.get(status) ?? 0) + 1)
  }

  #repository(index: number): string {
    return `${this.#prefix}/r${index}`
  }

  #session(index: number): Session | undefined {
    return this.#sessions[index % Math.max(1, this.#sessions.length)]
  }

  #content(index: number): Buffer {
    return this.#contents[index % this.#contents.length] ?? configBytes
  }

  #holds(repository: string, digest: Digest): boolean {
    return this.#blobs.get(repository)?.has(digest) === true
  }

  #acknowledged(repository: string, digest: Digest, bytes: Buffer): void {
    const blobs = this.#blobs.get(repository) ?? new Map<Digest, Buffer>()
    blobs.set(digest, bytes)
    this.#blobs.set(repository, blobs)
    this.#contents.push(bytes)
  }
}
