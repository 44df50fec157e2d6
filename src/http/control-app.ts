import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import type { AuditLog } from '../access/ports.ts'
import { parseDigest } from '../oci/digest.ts'
import { type ManifestReference, parseRepository, parseTag } from '../oci/reference.ts'
import type { AbortOptions, Log } from '../registry/ports.ts'
import type { Page, PageRequest, Registry } from '../registry/registry.ts'
import { auditControl, type WhoAdministers } from './audit-control.ts'
import { addQuarantineRoutes } from './control/quarantine.ts'
import { addRemovalRoutes } from './control/removals.ts'
import { addTokenRoutes, type TokenRoutesComponents } from './control/tokens.ts'
import {
  controlProtocol,
  type FolderResponse,
  GcRequest,
  type IdResponse,
  ImageRequest,
  type ListenersResponse,
  reasonHeader,
  ScrubRequest,
  type VersionResponse
} from './control-protocol.ts'
import { type LineWriter, streamLines } from './control-stream.ts'
import { answerErrors, answerFrameworkErrors } from './ops-routes.ts'
import { reasonOf } from './reply-error.ts'

/** The node as the control door sees it. */
export interface ControlledNode {
  readonly version: string
  identity(options?: AbortOptions): Promise<IdResponse>
  /** Addresses that it listens on, `HOST:PORT` or `unix:PATH`. Without it none are told. */
  listeners?(): Promise<readonly string[]>
  /** Which data folder it holds; told by the socket only. */
  readonly folder?: FolderResponse
}

export interface ControlComponents {
  registry: Registry
  node: ControlledNode
  log: Log
  /** Told of what was changed here. */
  audit?: AuditLog
  /** Without them there are no routes about tokens. */
  access?: TokenRoutesComponents
}

/** Names read at once. */
const pageSize = 1000

/** The door for the command line beside a running node: see {@link ./control-protocol.ts}. Whoever reaches it owns the node. */
export function createControlApp(components: ControlComponents): FastifyInstance {
  const app = createControlFastify(components)
  addControlRoutes(app, components)
  const { folder } = components.node
  if (folder !== undefined) app.get('/folder', async () => folder)
  return app
}

/** An application that {@link addControlRoutes} fits in. */
export function createControlFastify({ log, audit }: ControlComponents, who?: WhoAdministers): FastifyInstance {
  // A body that does not fit its schema is refused, never bent until it does.
  const ajv = { customOptions: { removeAdditional: false, coerceTypes: false } }
  const frameworkErrors = answerFrameworkErrors(log)
  const app = fastify({ logger: false, bodyLimit: 64 * 1024, forceCloseConnections: true, ajv, frameworkErrors })
  answerErrors(app, log)
  if (audit !== undefined) auditControl(app, audit, who)
  app.addHook('onError', async (_request, reply, error) => void reply.header(reasonHeader, reasonOf(error)))
  return app
}

/** The control protocol, for those whom the door lets in. */
export function addControlRoutes(app: FastifyInstance, components: ControlComponents, who?: WhoAdministers): void {
  const { registry, node, access } = components
  app.get('/version', async (): Promise<VersionResponse> => ({ version: node.version, protocol: controlProtocol }))
  app.get('/id', async () => node.identity())
  app.get('/listeners', async (): Promise<ListenersResponse> => ({ listeners: (await node.listeners?.()) ?? [] }))
  app.get<{ Querystring: { repository?: string } }>('/ls', (request, reply) =>
    list(registry, reply, request.query.repository)
  )
  app.post<{ Body: ImageRequest }>('/inspect', { schema: { body: ImageRequest } }, async request => {
    const { repository, reference } = imageOf(request.body)
    return registry.inspect(repository, reference)
  })
  app.post<{ Body: ImageRequest }>('/rm', { schema: { body: ImageRequest } }, async (request, reply) => {
    const { repository, reference } = imageOf(request.body)
    if ('tag' in reference) await registry.deleteTag(repository, reference.tag)
    else await registry.deleteManifest(repository, reference.digest)
    return reply.code(204).send()
  })
  app.post<{ Body: GcRequest }>('/gc', { schema: { body: GcRequest } }, (request, reply) =>
    streamLines(reply, async (lines, signal) => {
      const { deleteUntagged, ...options } = request.body
      const onProgress = (progress: object) => lines.offer({ progress })
      const onWait = (waiting: number) => lines.offer({ waiting })
      const old = deleteUntagged === true ? { untaggedMs: 0 } : {}
      await lines.write({ result: await registry.collectGarbage({ ...old, ...options, signal, onProgress, onWait }) })
    })
  )
  app.post<{ Body: ScrubRequest }>('/scrub', { schema: { body: ScrubRequest } }, (request, reply) =>
    streamLines(reply, async (lines, signal) => {
      const onProgress = (progress: object) => lines.offer({ progress })
      const onDamage = (damage: object) => lines.tell({ damage })
      const onIncomplete = (incomplete: object) => lines.tell({ incomplete })
      const result = await registry.scrub({ ...request.body, signal, onProgress, onDamage, onIncomplete })
      await lines.write({ result })
    })
  )
  addRemovalRoutes(app, components, who)
  addQuarantineRoutes(app, registry)
  if (access !== undefined) addTokenRoutes(app, access)
}

async function list(registry: Registry, reply: FastifyReply, name: string | undefined): Promise<void> {
  const repository = name === undefined ? undefined : parseRepository(name)
  // An unknown repository is an error response, not a line.
  if (repository !== undefined) await registry.listTags(repository, { limit: 1 })
  const read = (page: PageRequest): Promise<Page<string>> =>
    repository === undefined ? registry.listRepositories(page, () => true) : registry.listTags(repository, page)
  await streamLines(reply, (lines, signal) =>
    writeAll(read, repository === undefined ? 'repository' : 'tag', lines, signal)
  )
}

async function writeAll(
  read: (page: PageRequest) => Promise<Page<string>>,
  key: 'repository' | 'tag',
  lines: LineWriter,
  signal: AbortSignal
): Promise<void> {
  let after: string | undefined
  do {
    const page: Page<string> = await read({ limit: pageSize, signal, ...(after === undefined ? {} : { after }) })
    for (const item of page.items) await lines.write({ [key]: item })
    after = page.next
  } while (after !== undefined)
}

/** @throws {RegistryError} NAME_INVALID, TAG_INVALID, DIGEST_INVALID */
function imageOf(body: ImageRequest): { repository: string; reference: ManifestReference } {
  const repository = parseRepository(body.repository)
  if ('digest' in body) return { repository, reference: { digest: parseDigest(body.digest) } }
  return { repository, reference: { tag: parseTag(body.tag) } }
}
