import type { FastifyInstance } from 'fastify'
import type { OwnTokens } from '../../access/own-tokens.ts'
import { streamLines } from '../control-stream.ts'
import {
  CreateTokenRequest,
  type CreateTokenResponse,
  listed,
  RemoveTokenRequest,
  type TokenResponse
} from './token-protocol.ts'

/** What the routes need of the node. */
export interface TokenRoutesComponents {
  tokens: Pick<OwnTokens, 'create' | 'list' | 'sessions' | 'remove'>
  /** Whether the node asks for credentials at all. */
  authenticating: boolean
}

/** The node's own tokens: see {@link ./token-protocol.ts}. Whoever reaches these routes administers the node. */
export function addTokenRoutes(app: FastifyInstance, { tokens, authenticating }: TokenRoutesComponents): void {
  app.get<{ Querystring: { all?: string } }>('/tokens', (request, reply) =>
    streamLines(reply, async lines => {
      for (const record of tokens.list()) await lines.write({ record: listed(record) })
      if (request.query.all !== 'true') return
      for (const record of tokens.sessions()) await lines.write({ record: listed(record) })
    })
  )
  app.post<{ Body: CreateTokenRequest }>(
    '/tokens',
    { schema: { body: CreateTokenRequest } },
    async (request, reply): Promise<CreateTokenResponse> => {
      const { token, record } = await tokens.create(request.body)
      // A secret, told once: nothing between here and the command keeps it (RFC 9111, section 5.2.2.5).
      reply.header('Cache-Control', 'no-store')
      return { token, record: listed(record), authenticating }
    }
  )
  app.post<{ Body: RemoveTokenRequest }>(
    '/tokens/remove',
    { schema: { body: RemoveTokenRequest } },
    async (request): Promise<TokenResponse> => ({ record: listed(await tokens.remove(request.body.token)) })
  )
}
