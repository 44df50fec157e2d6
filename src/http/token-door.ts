import type { IssuedToken, TokenRequest, TokenServer } from '../access/authentication.ts'
import { formatScopes } from '../access/scope.ts'
import { showSubject } from '../access/subject.ts'
import { RegistryError } from '../errors.ts'
import { baseMediaType } from '../oci/media-types.ts'
import { type Audited, claimedSubject, claimedUser } from './audit.ts'
import type { Door } from './door.ts'
import type { Exchange } from './exchange.ts'
import { sourceOf } from './guard.ts'
import { parseTokenForm, parseTokenQuery } from './parse-token-request.ts'
import { RequestBody } from './read-body.ts'
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
    exchange.audited = loginOf(request)
    const issued = await server.issue(request, exchange.abortable)
    if (exchange.audited !== undefined) exchange.audited = { ...exchange.audited, ...issuedTo(issued) }
    const headers = ['Content-Type', 'application/json', ...uncached]
    exchange.send(200, headers, JSON.stringify(bodyOf(issued)))
  } catch (error) {
    replyError(exchange, withHeaders(door, error), door.log)
  }
}

/** A login, or a token for somebody who signed in before; that anonymous was given one is no entry. */
function loginOf({ credential }: TokenRequest): Audited | undefined {
  switch (credential.type) {
    case 'none':
      return undefined
    case 'refresh':
      return { subject: 'anonymous', action: 'token' }
    case 'password':
      return { subject: claimedUser(credential.username), action: 'login' }
    case 'authorization':
      return { subject: claimedSubject(credential.header), action: 'login' }
  }
}

function issuedTo({ subject, scopes }: IssuedToken): Partial<Audited> {
  const reference = formatScopes(scopes).slice(0, 1000)
  return { subject: showSubject(subject), ...(reference === '' ? {} : { reference }) }
}

const uncached = ['Cache-Control', 'no-store']

async function read(door: Door, exchange: Exchange): Promise<TokenRequest> {
  const { request } = exchange
  if ((request.url ?? '').length > maxTarget) throw new RegistryError('URI_TOO_LONG')
  const source = sourceOf(request)
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
  if ((exchange.contentLength ?? 0) > maxForm) throw tooLarge()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of new RequestBody(exchange, { stallMs: door.init.bodyStallMs, stalled: 'REQUEST_TIMEOUT' })) {
    size += chunk.byteLength
    if (size > maxForm) throw tooLarge()
    chunks.push(chunk)
  }
  return new URLSearchParams(Buffer.concat(chunks, size).toString('utf8'))
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

/** A 401 names how to sign in here, which is not with the bearer token that is being asked for. */
function withHeaders(door: Door, error: unknown): unknown {
  if (!(error instanceof RegistryError)) return error
  const { message, detail, cause } = error
  const headers = { ...error.headers, 'Cache-Control': 'no-store', ...challengeOf(door, error) }
  return new RegistryError(error.reason, { message, detail, headers, cause })
}

function challengeOf(door: Door, { reason }: RegistryError): Record<string, string> {
  const { basic } = door.guard
  return reason === 'UNAUTHORIZED' && basic !== undefined ? { 'WWW-Authenticate': basic } : {}
}
