import type { FastifyInstance } from 'fastify'
import type { AuditLog } from '../../access/ports.ts'
import { parseDigest } from '../../oci/digest.ts'
import { parseRepository, parseTag } from '../../oci/reference.ts'
import type { Registry, RemovedManifest } from '../../registry/registry.ts'
import { operatorByControl, type WhoAdministers } from '../audit-control.ts'
import { RemoveTagRequest, RepositoryRequest, TagsRequest } from '../control-protocol.ts'
import { streamLines } from '../control-stream.ts'

export interface RemovalRoutesComponents {
  registry: Registry
  audit?: AuditLog
}

/** What `pinnace rm` asks beside one tag or manifest, and what it would be good for: see {@link ../control-protocol.ts}. */
export function addRemovalRoutes(
  app: FastifyInstance,
  { registry, audit }: RemovalRoutesComponents,
  who: WhoAdministers = operatorByControl
): void {
  app.get<{ Querystring: { repository?: string } }>('/untagged', async (request, reply) => {
    const { repository: name } = request.query
    const scope = name === undefined ? {} : { repository: parseRepository(name) }
    // An unknown repository is an error response, not a line.
    if (scope.repository !== undefined) await registry.listTags(scope.repository, { limit: 1 })
    await streamLines(reply, async (lines, signal) => {
      for await (const untagged of registry.untagged({ ...scope, signal })) await lines.write({ untagged })
    })
  })
  app.post<{ Body: TagsRequest }>('/rm/plan', { schema: { body: TagsRequest } }, async ({ body }) =>
    registry.planTagRemoval(parseRepository(body.repository), body.tags.map(parseTag))
  )
  app.post<{ Body: RemoveTagRequest }>('/rm/tag', { schema: { body: RemoveTagRequest } }, async request => {
    const { digest, ...named } = request.body
    const [repository, tag] = [parseRepository(named.repository), parseTag(named.tag)]
    const expected = digest === undefined ? {} : { digest: parseDigest(digest) }
    // The tag is an entry of the audit log by this request; each manifest that goes with it is one too.
    const onManifest = (removed: RemovedManifest) =>
      audit?.record({ ...who(request), action: 'delete', repository, reference: removed.digest, outcome: 'allowed' })
    return registry.removeTag(repository, tag, { ...expected, onManifest })
  })
  app.post<{ Body: RepositoryRequest }>('/rm/all/plan', { schema: { body: RepositoryRequest } }, async ({ body }) =>
    registry.planRepositoryRemoval(parseRepository(body.repository))
  )
  app.post<{ Body: RepositoryRequest }>('/rm/all', { schema: { body: RepositoryRequest } }, async (request, reply) => {
    const repository = parseRepository(request.body.repository)
    await registry.listTags(repository, { limit: 1 })
    await streamLines(reply, async (lines, signal) => {
      const onProgress = (progress: object) => lines.offer({ progress })
      await lines.write({ result: await registry.removeRepository(repository, { signal, onProgress }) })
    })
  })
}
