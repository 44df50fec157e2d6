import type { TokenRequest } from '../access/authentication.ts'
import { parseScopes } from '../access/scope.ts'
import { RegistryError } from '../errors.ts'

type Asked = Omit<TokenRequest, 'source'>

/**
 * `GET /token` (distribution's token specification): the credential is in the header, the rest in the query. `account` and
 * `client_id` say nothing that the credential does not.
 *
 * @throws {RegistryError} REQUEST_INVALID for too many scopes
 */
export function parseTokenQuery(query: URLSearchParams, authorization: string | undefined): Asked {
  return {
    credential: authorization === undefined ? { type: 'none' } : { type: 'authorization', header: authorization },
    offline: query.get('offline_token') === 'true',
    ...commonOf(query)
  }
}

/**
 * `POST /token` (distribution's OAuth2 specification; RFC 6749, sections 4.3 and 6).
 *
 * @throws {RegistryError} REQUEST_INVALID naming the parameter, never its value
 */
export function parseTokenForm(form: URLSearchParams): Asked {
  const offline = form.get('access_type') === 'offline'
  const grant = form.get('grant_type')
  switch (grant) {
    case 'password': {
      const credential = {
        type: 'password',
        username: must(form, 'username'),
        password: must(form, 'password')
      } as const
      return { credential, offline, ...commonOf(form) }
    }
    case 'refresh_token':
      return { credential: { type: 'refresh', token: must(form, 'refresh_token') }, offline, ...commonOf(form) }
    default:
      throw new RegistryError('REQUEST_INVALID', {
        message:
          grant === null
            ? 'grant_type missing: use password or refresh_token'
            : 'unsupported grant_type: use password or refresh_token'
      })
  }
}

function commonOf(parameters: URLSearchParams): Pick<Asked, 'scopes' | 'service'> {
  const service = parameters.get('service')
  const scopes = parseScopes(parameters.getAll('scope'))
  return service === null || service === '' ? { scopes } : { scopes, service }
}

function must(form: URLSearchParams, name: string): string {
  const value = form.get(name)
  if (value === null || value === '')
    throw new RegistryError('REQUEST_INVALID', { message: `${name} missing in the form` })
  return value
}
