import type { Action } from '../access/authorize.ts'
import { RegistryError } from '../errors.ts'
import type { Door } from './door.ts'
import { deleteBlob } from './endpoints/delete-blob.ts'
import { deleteManifest } from './endpoints/delete-manifest.ts'
import { getBlob } from './endpoints/get-blob.ts'
import { getManifest } from './endpoints/get-manifest.ts'
import { listReferrers } from './endpoints/list-referrers.ts'
import { listRepositories } from './endpoints/list-repositories.ts'
import { listTags } from './endpoints/list-tags.ts'
import { putManifest } from './endpoints/put-manifest.ts'
import { startUpload } from './endpoints/start-upload.ts'
import { appendUpload, cancelUpload, finishUpload, uploadStatus } from './endpoints/upload-session.ts'
import type { Exchange } from './exchange.ts'
import type { Visitor } from './guard.ts'
import { type Endpoint, parseTarget, type Target } from './parse-target.ts'
import { replyError } from './reply-error.ts'

/** What each endpoint needs of the caller. To move a tag takes `push`, which the endpoint asks itself. */
const actions: Partial<Record<Endpoint, Action>> = {
  'end-2': 'pull',
  'end-3': 'pull',
  'end-4': 'create',
  'end-5': 'create',
  'end-6': 'create',
  'end-7': 'create',
  'end-8': 'pull',
  'end-9': 'delete',
  'end-10': 'delete',
  'end-12': 'pull',
  'end-13': 'create',
  'end-14': 'create'
}

const deletions: ReadonlySet<Endpoint> = new Set<Endpoint>(['end-9', 'end-10'])
/** Methods left on the path when the node is read-only, as distribution answers. */
const writes: Partial<Record<Endpoint, string>> = {
  'end-4': '',
  'end-5': 'GET, HEAD',
  'end-6': 'GET, HEAD',
  'end-7': 'GET, HEAD',
  'end-9': 'GET, HEAD',
  'end-10': 'GET, HEAD',
  'end-14': 'GET, HEAD'
}

/** Longest request target, bytes. */
const maxTarget = 8 * 1024

/** Whether a request target belongs to the OCI API at this prefix. */
export function isOciTarget(url: string, prefix: string): boolean {
  const root = `${prefix}/v2`
  if (!url.startsWith(root)) return false
  const next = url.charCodeAt(root.length)
  // End of the target, slash or question mark.
  return Number.isNaN(next) || next === 0x2f || next === 0x3f
}

/** Answers one request under `/v2`, errors included. */
export async function answerOci(door: Door, exchange: Exchange): Promise<void> {
  try {
    const { request } = exchange
    exchange.route = 'invalid'
    if ((request.url ?? '').length > maxTarget) throw new RegistryError('URI_TOO_LONG')
    const tail = exchange.path.slice(door.locations.prefix.length + '/v2'.length)
    const target = parseTarget(request.method ?? '', tail)
    exchange.route = target.endpoint
    exchange.target = target
    const identified = door.guard.identify(request)
    // No turn of the loop for a credential that is remembered: every request passes here.
    const visitor = identified instanceof Promise ? await identified : identified
    exchange.caller = visitor.caller
    exchange.enter(door.limits.admit(exchange.client, visitor.caller.subject))
    admit(door, visitor, target)
    await run(door, exchange, target, visitor)
  } catch (error) {
    replyError(exchange, exchange.caller === undefined ? countStranger(door, exchange, error) : error, door.log)
  }
}

/** Who did not come as far as being known counts by the address. */
function countStranger({ limits }: Door, exchange: Exchange, error: unknown): unknown {
  try {
    exchange.enter(limits.admit(exchange.client, undefined))
    return error
  } catch (tooMany) {
    return tooMany
  }
}

/** @throws {RegistryError} READ_ONLY, METHOD_NOT_ALLOWED where deletion is off (CVE-2026-41888: tags too), UNAUTHORIZED, DENIED */
function admit(door: Door, visitor: Visitor, target: Target): void {
  const { endpoint } = target
  const left = writes[endpoint]
  if (door.init.readOnly && left !== undefined) throw new RegistryError('READ_ONLY', { headers: { Allow: left } })
  if (!door.init.deleteEnabled && deletions.has(endpoint)) {
    const allow = endpoint === 'end-9' ? 'GET, HEAD, PUT' : 'GET, HEAD'
    throw new RegistryError('METHOD_NOT_ALLOWED', {
      message: 'deletion is disabled on this registry',
      headers: { Allow: allow }
    })
  }
  const action = actions[endpoint]
  if (action !== undefined && 'repository' in target) door.guard.demand(visitor, action, target.repository)
}

async function run(door: Door, exchange: Exchange, target: Target, visitor: Visitor): Promise<void> {
  if ('unstorable' in target) throw unknown(target)
  switch (target.endpoint) {
    case 'end-1':
      door.guard.demandCredential(visitor)
      return exchange.send(200, ['Content-Type', 'application/json'], '{}')
    case 'end-2':
      return getBlob(door, exchange, target, visitor)
    case 'end-3':
      return getManifest(door, exchange, target)
    case 'end-4':
      return startUpload(door, exchange, target, visitor)
    case 'end-5':
      return appendUpload(door, exchange, target)
    case 'end-6':
      return finishUpload(door, exchange, target)
    case 'end-7':
      return putManifest(door, exchange, target, visitor)
    case 'end-8':
      return listTags(door, exchange, target)
    case 'end-9':
      return deleteManifest(door, exchange, target)
    case 'end-10':
      return deleteBlob(door, exchange, target)
    case 'end-12':
      return listReferrers(door, exchange, target)
    case 'end-13':
      return uploadStatus(door, exchange, target)
    case 'end-14':
      return cancelUpload(door, exchange, target)
    case 'catalog':
      return listRepositories(door, exchange, visitor)
    case 'options':
      return exchange.send(200, ['Allow', `${target.allow}, OPTIONS`])
    case 'redirect':
      return redirect(exchange, target.slash)
  }
}

/** Nothing is stored under a digest of another algorithm than ours, so nothing can be found there. */
function unknown({ endpoint, repository, unstorable }: Extract<Target, { unstorable: string }>): RegistryError {
  const isBlob = endpoint === 'end-2' || endpoint === 'end-10'
  return isBlob
    ? new RegistryError('BLOB_UNKNOWN', { detail: { digest: unstorable } })
    : new RegistryError('MANIFEST_UNKNOWN', { detail: { name: repository, digest: unstorable } })
}

/** To the canonical path, keeping query and method (distribution's 301 would turn a POST into a GET). */
function redirect(exchange: Exchange, slash: boolean): void {
  const { path, request } = exchange
  const query = (request.url ?? '').indexOf('?')
  const canonical = slash ? `${path}/` : path.replace(/(?:\/|%2f)$/i, '')
  const location = canonical + (query < 0 ? '' : (request.url ?? '').slice(query))
  exchange.send(request.method === 'GET' || request.method === 'HEAD' ? 301 : 308, ['Location', location])
}
