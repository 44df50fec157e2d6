/** The whole HTTP application over the real storage and metadata, on a socket, in this process. */
import { request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { expect } from 'vitest'
import { openAccess } from '../../src/access/authorize.ts'
import { errorTable } from '../../src/errors.ts'
import { type App, type AppComponents, type AppInit, createApp } from '../../src/http/app.ts'
import { type ListenInit, listen } from '../../src/http/listen.ts'
import { type Digest, type DigestAlgorithm, digestOf } from '../../src/oci/digest.ts'
import type { RegistryInit } from '../../src/registry/components.ts'
import { type Answer, type Ask, memoryLog } from '../http/serve.ts'
import { openTemporaryRegistry, type TemporaryRegistry } from '../registry/temporary-registry.ts'

export type { Answer } from '../http/serve.ts'

export interface ServerOptions {
  app?: AppInit
  /** Default: everybody may do everything. */
  components?: Partial<AppComponents>
  listen?: ListenInit
  registry?: RegistryInit
  /** Another server's registry; stays open when this server closes. Default: one of its own. */
  store?: TemporaryRegistry
}

export interface Server {
  readonly port: number
  readonly app: App
  readonly store: TemporaryRegistry
  readonly log: ReturnType<typeof memoryLog>
  /** A request whose answer has to keep the promises that every answer keeps, see {@link expectForm}. */
  ask(path: string, init?: Ask): Promise<Answer>
  close(): Promise<void>
}

export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const store = options.store ?? (await openTemporaryRegistry(options.registry))
  const log = memoryLog()
  // Raw requests call it as they like; what it answers to is the matter of test/http/host.test.ts.
  const init = { hosts: ['*'], ...options.app }
  const app = createApp({ registry: store.registry, authorize: openAccess, log, ...options.components }, init)
  const listening = await listen(app, [{ host: '127.0.0.1', port: 0 }], options.listen)
  const url = new URL(listening.urls[0] ?? '')
  const port = Number(url.port)
  return {
    port,
    app,
    store,
    log,
    ask: async (path, init = {}) => {
      const answer = await send(url.protocol === 'https:', port, path, init)
      expectForm(answer, init.method ?? 'GET')
      return answer
    },
    close: async () => {
      await listening.drain(0)
      if (options.store === undefined) await store.close()
    }
  }
}

function send(secure: boolean, port: number, path: string, init: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers, body, agent = false } = init
    const options = { host: '127.0.0.1', port, path, method, agent, ...(headers === undefined ? {} : { headers }) }
    const request = secure ? tlsRequest({ ...options, rejectUnauthorized: false }) : plainRequest(options)
    request.on('error', reject)
    request.on('response', response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const whole = Buffer.concat(chunks)
        const { statusCode: status = 0, rawHeaders } = response
        resolve({ status, headers: response.headers, rawHeaders, body: whole, codes: codesOf(status, whole) })
      })
    })
    request.end(body)
  })
}

const codes: ReadonlySet<string> = new Set(Object.values(errorTable).map(row => row.code))

/** Codes of an OCI error body; fails the test when the body of an error is anything else. */
export function codesOf(status: number, body: Buffer): string[] {
  if (status < 400 || body.length === 0) return []
  const parsed: unknown = JSON.parse(body.toString())
  if (typeof parsed !== 'object' || parsed === null || !('errors' in parsed) || !Array.isArray(parsed.errors)) {
    throw new Error(`an error ${status} without the OCI form: ${body.toString().slice(0, 200)}`)
  }
  return parsed.errors.map((entry: unknown) => {
    expect(entry).toMatchObject({ code: expect.any(String), message: expect.stringMatching(/./) })
    const code = typeof entry === 'object' && entry !== null && 'code' in entry ? String(entry.code) : ''
    expect(codes).toContain(code)
    return code
  })
}

/** What holds for every answer: who speaks which version, a name for the request, an OCI body for an error. */
export function expectForm(answer: Answer, method: string): void {
  const { status, headers, body } = answer
  expect(headers).toMatchObject({
    'docker-distribution-api-version': 'registry/2.0',
    'x-request-id': expect.stringMatching(/./)
  })
  if (method === 'HEAD' || status === 204 || status === 304) expect(body.length).toBe(0)
  if (status < 400) return
  expect(headers['content-type']).toMatch(/^application\/json(?:; charset=utf-8)?$/)
  if (method !== 'HEAD') expect(answer.codes.length).toBeGreaterThan(0)
  if (status === 405) expect(headers.allow).toBeTypeOf('string')
  if (status === 429 || status === 503) expect(headers['retry-after']).toMatch(/^\d+$/)
}

/** Every value of a header that may come more than once. */
export function valuesOf(answer: Answer, name: string): string[] {
  return answer.rawHeaders.filter((_, at) => at % 2 === 1 && answer.rawHeaders[at - 1]?.toLowerCase() === name)
}

/** `Location` as something to ask the same server for, with parameters added. */
export function locationOf(answer: Answer, query = ''): string {
  const { location } = answer.headers
  if (location === undefined) throw new Error(`no Location in an answer of ${answer.status}`)
  return query === '' ? location : `${location}${location.includes('?') ? '&' : '?'}${query}`
}

export async function openSession(server: Server, repository: string, query = ''): Promise<string> {
  const answer = await server.ask(`/v2/${repository}/blobs/uploads/${query}`, { method: 'POST' })
  expect(answer.status).toBe(202)
  return locationOf(answer)
}

export async function pushBlob(
  server: Server,
  repository: string,
  bytes: Uint8Array,
  algorithm: DigestAlgorithm = 'sha256'
): Promise<Digest> {
  const digest = digestOf(bytes, algorithm)
  const answer = await server.ask(`/v2/${repository}/blobs/uploads/?digest=${digest}`, { method: 'POST', body: bytes })
  expect(answer.status).toBe(201)
  return digest
}

export const types = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  artifact: 'application/vnd.oci.artifact.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  empty: 'application/vnd.oci.empty.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json'
} as const

export function descriptorOf(
  mediaType: string,
  bytes: Uint8Array
): { mediaType: string; digest: Digest; size: number } {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

export const configBytes = Buffer.from('{"architecture":"amd64","os":"linux"}')

/** An image manifest over the small configuration, whose blob has to be pushed before. */
export function manifestOf(layers: readonly Uint8Array[] = [], more: object = {}): Buffer {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: types.manifest,
      config: descriptorOf(types.config, configBytes),
      layers: layers.map(bytes => descriptorOf(types.layer, bytes)),
      ...more
    })
  )
}

export function indexOf(children: readonly Uint8Array[], more: object = {}): Buffer {
  const manifests = children.map(bytes => descriptorOf(mediaTypeOf(bytes), bytes))
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests, ...more }))
}

/** What a manifest says it is. */
export function mediaTypeOf(bytes: Uint8Array): string {
  const parsed: { mediaType: string } = JSON.parse(Buffer.from(bytes).toString())
  return parsed.mediaType
}

export function putManifest(
  server: Server,
  repository: string,
  reference: string,
  bytes: Uint8Array,
  headers: Record<string, string> = {}
): Promise<Answer> {
  return server.ask(`/v2/${repository}/manifests/${reference}`, {
    method: 'PUT',
    headers: { 'Content-Type': mediaTypeOf(bytes), ...headers },
    body: bytes
  })
}

/** An image of one random-looking layer, pushed whole. */
export async function pushImage(server: Server, repository: string, tag: string, more: object = {}): Promise<Buffer> {
  const layer = Buffer.from(`layer of ${repository}:${tag}`)
  await pushBlob(server, repository, configBytes)
  await pushBlob(server, repository, layer)
  const manifest = manifestOf([layer], more)
  expect((await putManifest(server, repository, tag, manifest)).status).toBe(201)
  return manifest
}
