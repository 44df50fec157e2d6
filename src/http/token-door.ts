import type { IssuedToken, TokenRequest, TokenServer } from '../access/authentication.ts'
import { formatScopes } from '../access/scope.ts'
import { anonymous, showSubject } from '../access/subject.ts'
import { RegistryError } from '../errors.ts'
import { baseMediaType } from '../oci/media-types.ts'
import type { Audited } from './audit.ts'
import type { Door } from './door.ts'
import type { Exchange } from './exchange.ts'
import { parseTokenForm, parseTokenQuery } from './parse-token-request.ts'
import { readWholeBody } from './read-whole-body.ts'
import { replyError } from './reply-error.ts'

/** Bytes of a form: 100 scopes with the longest names are less. */
const maxForm = 64 * 1024
/** Longest request target, bytes. */
const maxTarget = 16 * 1024

/** Whether a path is that of the token server. */
export function isTokenPath(path: string, prefix: string): boolean {
  return path.length === prefix.length + '/token'.length && path.startsWith(prefix) && path.endsWith('/token')
}

/** Answers `/token`, errors included. What it says is nobody else's, and over soon: no cache keeps it. */
export async function answerToken(door: Door, server: TokenServer, exchange: Exchange): Promise<void> {
  exchange.route = 'token'
  try {
    const request = await read(door, exchange)
    exchange.audited = askedBy(request)
    const issued = await server.issue(request, exchange.abortable)
    if (exchange.audited !== undefined) exchange.audited = { ...exchange.audited, ...issuedTo(issued) }
    const headers = ['Content-Type', 'application/json', 'Cache-Control', 'no-store']
    exchange.send(200, headers, JSON.stringify(bodyOf(issued)))
  } catch (error) {
    // How to sign in here is not with the bearer token that is being asked for.
    replyError(exchange, door.guard.withBasic(error, { 'Cache-Control': 'no-store' }), door.log)
  }
}

/** A token for somebody who signed in, or tried to; that anonymous was given one is no entry. */
function askedBy({ credential }: TokenRequest): Audited | undefined {
  return credential.type === 'none' ? undefined : { subject: showSubject(anonymous), action: 'token' }
}

function issuedTo({ subject, scopes }: IssuedToken): Partial<Audited> {
  const reference = formatScopes(scopes).slice(0, 1000)
  return { subject: showSubject(subject), ...(reference === '' ? {} : { reference }) }
}

async function read(door: Door, exchange: Exchange): Promise<TokenRequest> {
  const { request } = exchange
  if ((request.url ?? '').length > maxTarget) throw new RegistryError('URI_TOO_LONG')
  const source = exchange.client.address
  switch (request.method) {
    case 'GET':
      return { ...parseTokenQuery(exchange.query, request.headers.authorization), source }
    case 'POST':
      return { ...parseTokenForm(await readForm(door, exchange)), source }
    default:
      throw new RegistryError('METHOD_NOT_ALLOWED', { headers: { Allow: 'GET, POST' } })
  }
}

/** @throws {RegistryError} UNSUPPORTED_MEDIA_TYPE, REQUEST_TOO_LARGE, REQUEST_TIMEOUT */
async function readForm(door: Door, exchange: Exchange): Promise<URLSearchParams> {
  const type = baseMediaType(exchange.header('content-type') ?? '').toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') {
    throw new RegistryError('UNSUPPORTED_MEDIA_TYPE', { message: 'send the form as application/x-www-form-urlencoded' })
  }
  const { bodyStallMs: stallMs } = door.init
  const form = await readWholeBody(exchange, { limit: maxForm, tooLarge, stallMs, stalled: 'REQUEST_TIMEOUT' })
  return new URLSearchParams(form.toString('utf8'))
}

function tooLarge(): RegistryError {
  return new RegistryError('REQUEST_TOO_LARGE', { message: `the form is larger than ${maxForm} bytes` })
}

/** Both names of the token: the token specification has one, the OAuth2 specification the other. */
function bodyOf({ token, expiresIn, issuedAt, scopes, refreshToken }: IssuedToken): object {
  return {
    token,
    access_token: token,
    scope: formatScopes(scopes),
    expires_in: expiresIn,
    issued_at: new Date(issuedAt).toISOString(),
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken })
  }
}
