/**
 * The one table of errors: a reason, the `code` of the OCI error body, the HTTP status and the message.
 *
 * Codes of 4xx answers come from the list the distribution specification fixes ("code-1" … "code-14"); several reasons
 * may share a code and differ in status. Reasons never change between major versions, messages may.
 */
export const errorTable = {
  BLOB_UNKNOWN: { code: 'BLOB_UNKNOWN', status: 404, message: 'blob unknown to registry' },
  /** DENIED for what Docker makes of it, see QUOTA_EXCEEDED. */
  BLOB_TOO_LARGE: { code: 'DENIED', status: 413, message: 'blob is larger than this repository takes' },
  BLOB_UPLOAD_INVALID: { code: 'BLOB_UPLOAD_INVALID', status: 400, message: 'blob upload invalid' },
  BLOB_UPLOAD_UNKNOWN: { code: 'BLOB_UPLOAD_UNKNOWN', status: 404, message: 'blob upload unknown to registry' },
  BLOB_UPLOAD_OUT_OF_ORDER: {
    code: 'BLOB_UPLOAD_INVALID',
    status: 416,
    message: 'chunk does not start where the upload ends'
  },
  BLOB_UPLOAD_STALLED: {
    code: 'BLOB_UPLOAD_INVALID',
    status: 408,
    message: 'request body stalled; the upload session is kept'
  },
  BLOB_UPLOAD_BUSY: {
    code: 'TOOMANYREQUESTS',
    status: 429,
    message: 'another request is writing to this upload session'
  },
  DIGEST_INVALID: { code: 'DIGEST_INVALID', status: 400, message: 'provided digest did not match uploaded content' },
  MANIFEST_BLOB_UNKNOWN: {
    code: 'MANIFEST_BLOB_UNKNOWN',
    status: 404,
    message: 'manifest references a manifest or blob unknown to registry'
  },
  MANIFEST_INVALID: { code: 'MANIFEST_INVALID', status: 400, message: 'manifest invalid' },
  MANIFEST_UNKNOWN: { code: 'MANIFEST_UNKNOWN', status: 404, message: 'manifest unknown to registry' },
  MANIFEST_TOO_LARGE: { code: 'SIZE_INVALID', status: 413, message: 'manifest is larger than the limit' },
  MANIFEST_CHANGED: { code: 'DENIED', status: 412, message: 'If-Match does not name the current manifest' },
  MANIFEST_STALLED: { code: 'MANIFEST_INVALID', status: 408, message: 'request body stalled' },
  NAME_INVALID: { code: 'NAME_INVALID', status: 400, message: 'invalid repository name' },
  NAME_UNKNOWN: { code: 'NAME_UNKNOWN', status: 404, message: 'repository name not known to registry' },
  TAG_INVALID: { code: 'MANIFEST_INVALID', status: 400, message: 'invalid tag' },
  SIZE_INVALID: { code: 'SIZE_INVALID', status: 400, message: 'provided length did not match content length' },
  RANGE_UNSATISFIABLE: { code: 'SIZE_INVALID', status: 416, message: 'requested range not satisfiable' },
  REQUEST_INVALID: { code: 'UNSUPPORTED', status: 400, message: 'request invalid' },
  REQUEST_TOO_LARGE: { code: 'UNSUPPORTED', status: 413, message: 'request body larger than this endpoint takes' },
  PAGINATION_INVALID: { code: 'UNSUPPORTED', status: 400, message: 'invalid pagination parameter' },
  NOT_FOUND: { code: 'UNSUPPORTED', status: 404, message: 'no such endpoint' },
  /** RFC 9110, section 15.5.20. */
  HOST_UNKNOWN: { code: 'DENIED', status: 421, message: 'this registry has another name' },
  METHOD_NOT_ALLOWED: { code: 'UNSUPPORTED', status: 405, message: 'the operation is unsupported' },
  READ_ONLY: { code: 'UNSUPPORTED', status: 405, message: 'registry is in read-only mode' },
  UNSUPPORTED_MEDIA_TYPE: { code: 'UNSUPPORTED', status: 415, message: 'unsupported media type' },
  EXPECTATION_FAILED: { code: 'UNSUPPORTED', status: 417, message: 'Expect: only 100-continue is understood' },
  HEADER_TOO_LARGE: { code: 'UNSUPPORTED', status: 431, message: 'request header fields too large' },
  URI_TOO_LONG: { code: 'UNSUPPORTED', status: 414, message: 'request target too long' },
  UNAUTHORIZED: { code: 'UNAUTHORIZED', status: 401, message: 'authentication required' },
  DENIED: { code: 'DENIED', status: 403, message: 'requested access to the resource is denied' },
  TOOMANYREQUESTS: { code: 'TOOMANYREQUESTS', status: 429, message: 'too many requests' },
  /** After 4xx with DENIED Docker shows the message and stops; after any other code, and any 5xx, it sends the layer five times. */
  QUOTA_EXCEEDED: { code: 'DENIED', status: 413, message: 'the repository holds as much as its quota allows' },
  REQUEST_TIMEOUT: { code: 'UNSUPPORTED', status: 408, message: 'request timed out' },
  STORAGE_FULL: { code: 'UNAVAILABLE', status: 507, message: 'no space left on the storage of this registry' },
  UNAVAILABLE: { code: 'UNAVAILABLE', status: 503, message: 'service unavailable' },
  CONTENT_CORRUPT: { code: 'UNAVAILABLE', status: 503, message: 'stored content no longer matches its digest' },
  METADATA_DAMAGED: {
    code: 'UNAVAILABLE',
    status: 503,
    message: 'the metadata of this registry is damaged: its log says where and what to do'
  },
  UNKNOWN: { code: 'UNKNOWN', status: 500, message: 'unknown error' }
} as const satisfies Record<string, { code: string; status: number; message: string }>

/** Key of {@link errorTable}: what went wrong, finer than the wire code. */
export type Reason = keyof typeof errorTable

export interface RegistryErrorInit {
  /** Replaces the table's message; say which value was wrong and what to do. */
  message?: string
  /** Structured `detail` of the OCI error body. Never a credential. */
  detail?: unknown
  /** Response headers this error carries, e.g. `Retry-After`. */
  headers?: Record<string, string>
  cause?: unknown
}

/** An error a client is told about. Thrown anywhere, turned into a response in one place (`http/reply-error.ts`). */
export class RegistryError extends Error {
  override readonly name = 'RegistryError'
  readonly reason: Reason
  readonly code: string
  readonly status: number
  readonly detail: unknown
  readonly headers: Readonly<Record<string, string>>

  constructor(reason: Reason, init: RegistryErrorInit = {}) {
    const row = errorTable[reason]
    super(init.message ?? row.message, init.cause === undefined ? undefined : { cause: init.cause })
    this.reason = reason
    this.code = row.code
    this.status = row.status
    this.detail = init.detail
    this.headers = init.headers ?? {}
  }
}

/** One entry of the `errors` array of an OCI error body. */
export interface OciErrorEntry {
  code: string
  message: string
  detail?: unknown
}

/** Several errors in one body, e.g. every blob a manifest misses. The status is the first one's. */
export class RegistryErrors extends Error {
  override readonly name = 'RegistryErrors'
  readonly errors: readonly [RegistryError, ...RegistryError[]]

  constructor(errors: readonly [RegistryError, ...RegistryError[]]) {
    super(errors.map(error => error.message).join('; '))
    this.errors = errors
  }
}

/** Whether an error (or its cause) is the operating system saying that the disk or quota is full. */
export function isStorageFull(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ('code' in current && (current.code === 'ENOSPC' || current.code === 'EDQUOT')) return true
    if (/no space left on device|disk quota exceeded/i.test(current.message)) return true
  }
  return false
}
