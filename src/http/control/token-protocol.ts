import { type Static, Type } from '@sinclair/typebox'
import { type Action, actions } from '../../access/authorize.ts'
import type { TokenSummary } from '../../access/own-tokens.ts'
import type { ErrorLine } from '../control-protocol.ts'

/**
 * What the command line and a running node say to each other about the node's own tokens.
 *
 * | request | body | response |
 * |---|---|---|
 * | `GET /tokens` | | {@link TokenLine}s, by name |
 * | `GET /tokens?all=true` | | and then those that `docker login` keeps, by user |
 * | `POST /tokens` | {@link CreateTokenRequest} | {@link CreateTokenResponse} |
 * | `POST /tokens/remove` | {@link RemoveTokenRequest} | {@link TokenResponse} |
 *
 * @module
 */

export const CreateTokenRequest = Type.Object(
  {
    name: Type.String({ maxLength: 256 }),
    grants: Type.Array(
      Type.Object(
        {
          repositories: Type.String({ maxLength: 1024 }),
          actions: Type.Array(Type.Unsafe<Action>(Type.Union(actions.map(action => Type.Literal(action)))), {
            maxItems: actions.length
          })
        },
        { additionalProperties: false }
      ),
      { maxItems: 64 }
    ),
    /** ms since epoch, until the end of the year 9999. */
    expiresAt: Type.Optional(Type.Integer({ minimum: 0, maximum: 253_402_300_799_999 }))
  },
  { additionalProperties: false }
)
export type CreateTokenRequest = Static<typeof CreateTokenRequest>

/** A token by its name or ID. */
export const RemoveTokenRequest = Type.Object(
  { token: Type.String({ maxLength: 256 }) },
  { additionalProperties: false }
)
export type RemoveTokenRequest = Static<typeof RemoveTokenRequest>

/** A token as it is shown: nothing of its secret, nor of the password behind it. */
export interface ListedToken extends Omit<TokenSummary, 'user'> {
  /** Whom a `refresh` stands for. */
  user?: string
}

export function listed({ user, ...rest }: TokenSummary): ListedToken {
  return user === undefined ? rest : { ...rest, user: user.name }
}

/** The one time that the secret is told. */
export interface CreateTokenResponse {
  token: string
  record: ListedToken
  /** Whether the node asks for credentials at all. */
  authenticating: boolean
}

export interface TokenResponse {
  record: ListedToken
}

export type TokenLine = TokenResponse | ErrorLine
