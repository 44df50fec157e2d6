import type { FastifyInstance } from 'fastify'
import type { Registry } from '../../registry/registry.ts'
import { streamLines } from '../control-stream.ts'
import { RemoveAsideRequest } from './quarantine-protocol.ts'

/** Files that were put aside: see {@link ./quarantine-protocol.ts}. */
export function addQuarantineRoutes(
  app: FastifyInstance,
  registry: Pick<Registry, 'listQuarantine' | 'removeQuarantined'>
): void {
  app.get('/quarantine', (_request, reply) =>
    streamLines(reply, async (lines, signal) => {
      for await (const file of registry.listQuarantine({ signal })) await lines.write({ file })
    })
  )
  app.post<{ Body: RemoveAsideRequest }>(
    '/quarantine/remove',
    { schema: { body: RemoveAsideRequest } },
    async (request, reply) => {
      await registry.removeQuarantined(request.body.name)
      return reply.code(204).send()
    }
  )
}
