import { isStorageFull, type OciErrorEntry, type Reason, RegistryError, RegistryErrors } from '../errors.ts'
import type { Log } from '../registry/ports.ts'
import { ClientGone, type Exchange, type HeaderList } from './exchange.ts'

/** An error as the wire carries it. */
export interface ErrorResponse {
  status: number
  headers: HeaderList
  /** OCI error body, JSON. */
  body: string
}

/** Seconds for `Retry-After` where the error itself names none (RFC 9110, section 10.2.3). */
const retryAfter: Record<number, string> = { 429: '5', 503: '10', 507: '60' }

/** The one translation of an error into a response. Anything not meant for clients becomes a bare UNKNOWN. */
export function errorResponse(error: unknown, requestId: string): ErrorResponse {
  const errors = registryErrorsOf(error, requestId)
  const [first] = errors
  const headers: HeaderList = ['Content-Type', 'application/json']
  for (const [name, value] of Object.entries(first.headers)) headers.push(name, value)
  const retry = retryAfter[first.status]
  if (retry !== undefined && first.headers['Retry-After'] === undefined) headers.push('Retry-After', retry)
  return { status: first.status, headers, body: JSON.stringify({ errors: errors.map(entryOf) }) }
}

/** The reason of an error, or of the first of several. */
export function reasonOf(error: unknown): Reason {
  return registryErrorsOf(error)[0].reason
}

/** The `errors` of an OCI error body. */
export function entriesOf(error: unknown): OciErrorEntry[] {
  return registryErrorsOf(error).map(entryOf)
}

function registryErrorsOf(error: unknown, requestId?: string): readonly [RegistryError, ...RegistryError[]] {
  if (error instanceof RegistryErrors) return error.errors
  if (error instanceof RegistryError) return [error]
  if (isStorageFull(error)) return [new RegistryError('STORAGE_FULL', { cause: error })]
  return [new RegistryError('UNKNOWN', { cause: error, ...(requestId === undefined ? {} : { detail: { requestId } }) })]
}

function entryOf(error: RegistryError): OciErrorEntry {
  const { code, message, detail } = error
  return detail === undefined ? { code, message } : { code, message, detail }
}

/** Ends an exchange that failed: an error response, or a cut when the response had begun. */
export function replyError(exchange: Exchange, error: unknown, log: Log): void {
  const { id, response, request } = exchange
  const about = { requestId: id, method: request.method, path: exchange.path, err: error }
  if (error instanceof ClientGone || exchange.closed || (request.destroyed && !request.complete)) {
    log.debug(about, 'client hung up')
    // What it would have been told.
    if (error instanceof RegistryError || error instanceof RegistryErrors)
      exchange.status ??= errorResponse(error, id).status
    response.destroy()
    return
  }
  if (response.headersSent) {
    log.error(about, 'response cut: it could not be completed')
    response.destroy()
    return
  }
  const { status, headers, body } = errorResponse(error, id)
  if (status >= 500) log.error(about, 'request failed')
  try {
    exchange.send(status, headers, body)
  } catch (failure) {
    // Nothing is above this that could answer.
    log.error({ ...about, err: failure }, 'error response could not be sent')
    response.destroy()
  }
}
