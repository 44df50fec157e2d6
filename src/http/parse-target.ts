import { RegistryError } from '../errors.ts'
import { type Digest, isStorable, parseWellFormed, tryParseWellFormed, type WellFormedDigest } from '../oci/digest.ts'
import { type ManifestReference, parseManifestReference, parseRepository } from '../oci/reference.ts'

/**
 * What a request under `/v2` asks for, by the endpoint numbers of the distribution specification. end-4 stands for end-4a,
 * end-4b, end-4c and end-11, which differ in their query only. `catalog` is the original Docker API's `_catalog`.
 */
export type Target =
  | { endpoint: 'end-1' | 'catalog' }
  | { endpoint: 'end-2' | 'end-10'; repository: string; digest: Digest }
  | { endpoint: 'end-12'; repository: string; digest: WellFormedDigest }
  /** Asks for, or deletes, what nothing can be stored under. */
  | { endpoint: 'end-2' | 'end-3' | 'end-9' | 'end-10'; repository: string; unstorable: WellFormedDigest }
  | { endpoint: 'end-3' | 'end-7' | 'end-9'; repository: string; reference: ManifestReference }
  | { endpoint: 'end-4' | 'end-8'; repository: string }
  /** `offset`: where the URL says that a body begins, bytes. */
  | { endpoint: 'end-5' | 'end-6' | 'end-13' | 'end-14'; repository: string; id: string; offset?: number }
  /** `OPTIONS` on a path that exists. */
  | { endpoint: 'options'; allow: string }
  /** The same path with (`true`) or without its last slash. */
  | { endpoint: 'redirect'; slash: boolean }

export type Endpoint = Target['endpoint']

type Methods = Partial<Record<string, Endpoint>>

const read = (endpoint: Endpoint): Methods => ({ GET: endpoint, HEAD: endpoint })

const methods = {
  base: read('end-1'),
  catalog: read('catalog'),
  tags: read('end-8'),
  referrers: read('end-12'),
  blob: { ...read('end-2'), DELETE: 'end-10' },
  manifest: { ...read('end-3'), PUT: 'end-7', DELETE: 'end-9' },
  uploads: { POST: 'end-4' },
  upload: { ...read('end-13'), PATCH: 'end-5', PUT: 'end-6', DELETE: 'end-14' }
} as const satisfies Record<string, Methods>

type Kind = keyof typeof methods

interface Shape {
  kind: Kind
  name: string
  rest: string
  /** What follows the ID of an upload session. */
  offset?: string
  /** The canonical form ends in a slash. */
  slash: boolean
}

/**
 * Parses what follows `/v2` in a request target, without the query.
 *
 * Percent escapes are decoded once, before the path is taken apart, as Go's servers do, so `%2F` separates and `%25` stays
 * a (forbidden) percent sign. A path is read from its end, since every word of the API may be part of a repository's name.
 *
 * @throws {RegistryError} NOT_FOUND, METHOD_NOT_ALLOWED (with `Allow`), NAME_INVALID, DIGEST_INVALID, TAG_INVALID,
 * BLOB_UPLOAD_UNKNOWN, REQUEST_INVALID for broken escapes
 */
export function parseTarget(method: string, tail: string): Target {
  const path = tail.includes('%') ? decode(tail) : tail
  if (path === '') return { endpoint: 'redirect', slash: true }
  const slash = path.length > 1 && path.endsWith('/')
  const shape = shapeOf(path.slice(1, slash ? -1 : undefined))
  if (shape === undefined) throw new RegistryError('NOT_FOUND')
  if (shape.kind !== 'base' && shape.slash !== slash) return { endpoint: 'redirect', slash: shape.slash }
  const endpoint = endpointOf(shape.kind, method)
  if (endpoint === undefined) return refuseMethod(shape.kind, method)
  return build(endpoint, shape)
}

/** The methods of the path, for `Allow`. */
function allowOf(kind: Kind): string {
  return Object.keys(methods[kind]).join(', ')
}

function endpointOf(kind: Kind, method: string): Endpoint | undefined {
  const row: Methods = methods[kind]
  return Object.hasOwn(row, method) ? row[method] : undefined
}

function refuseMethod(kind: Kind, method: string): Target {
  if (method === 'OPTIONS') return { endpoint: 'options', allow: allowOf(kind) }
  throw new RegistryError('METHOD_NOT_ALLOWED', { headers: { Allow: allowOf(kind) } })
}

function decode(tail: string): string {
  try {
    return decodeURIComponent(tail)
  } catch (cause) {
    throw new RegistryError('REQUEST_INVALID', { message: 'broken percent-encoding in the path', cause })
  }
}

/** Which kind of path this is; `undefined` when it is none of the API's. */
function shapeOf(path: string): Shape | undefined {
  if (path === '') return { kind: 'base', name: '', rest: '', slash: true }
  if (path === '_catalog') return { kind: 'catalog', name: '', rest: '', slash: false }
  const last = path.lastIndexOf('/')
  const word = path.lastIndexOf('/', last - 1)
  if (last <= 0 || word <= 0) return undefined
  const name = path.slice(0, word)
  const rest = path.slice(last + 1)
  switch (path.slice(word + 1, last)) {
    case 'manifests':
      return { kind: 'manifest', name, rest, slash: false }
    case 'blobs':
      return rest === 'uploads'
        ? { kind: 'uploads', name, rest, slash: true }
        : { kind: 'blob', name, rest, slash: false }
    case 'uploads':
      return name.endsWith('/blobs')
        ? { kind: 'upload', name: name.slice(0, -'/blobs'.length), rest, slash: false }
        : undefined
    case 'tags':
      return rest === 'list' ? { kind: 'tags', name, rest, slash: false } : undefined
    case 'referrers':
      return { kind: 'referrers', name, rest, slash: false }
    default:
      // No name of the API, so it can only be a session's ID with an offset behind it.
      return name.endsWith('/blobs/uploads')
        ? {
            kind: 'upload',
            name: name.slice(0, -'/blobs/uploads'.length),
            rest: path.slice(word + 1, last),
            offset: rest,
            slash: false
          }
        : undefined
  }
}

function build(endpoint: Endpoint, { name, rest, offset }: Shape): Target {
  switch (endpoint) {
    case 'end-1':
    case 'catalog':
      return { endpoint }
    case 'end-4':
    case 'end-8':
      return { endpoint, repository: parseRepository(name) }
    case 'end-2':
    case 'end-10': {
      const repository = parseRepository(name)
      const digest = parseWellFormed(rest)
      return isStorable(digest) ? { endpoint, repository, digest } : { endpoint, repository, unstorable: digest }
    }
    case 'end-12':
      return { endpoint, repository: parseRepository(name), digest: parseWellFormed(rest) }
    case 'end-7':
      return { endpoint, repository: parseRepository(name), reference: parseManifestReference(rest) }
    case 'end-3':
    case 'end-9': {
      const repository = parseRepository(name)
      const digest = tryParseWellFormed(rest)
      if (digest !== undefined && !isStorable(digest)) return { endpoint, repository, unstorable: digest }
      return { endpoint, repository, reference: parseManifestReference(rest) }
    }
    case 'end-5':
    case 'end-6':
    case 'end-13':
    case 'end-14':
      return {
        endpoint,
        repository: parseRepository(name),
        id: parseUploadId(rest),
        ...(offset !== undefined && { offset: parseOffset(offset) })
      }
    default:
      throw new RegistryError('NOT_FOUND')
  }
}

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/

/** As a `Location` of this node has it. */
function parseOffset(value: string): number {
  if (/^(?:0|[1-9]\d{0,15})$/.test(value) && Number.isSafeInteger(Number(value))) return Number(value)
  throw new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: { offset: value.slice(0, 100) } })
}

/** Sessions are named by UUIDs; nothing else can be one. */
function parseUploadId(value: string): string {
  if (uuid.test(value)) return value
  throw new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: { upload: value.slice(0, 100) } })
}
