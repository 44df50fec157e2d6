import { RegistryError } from '../../errors.ts'
import type { FetchQuota } from './fetch-window.ts'
import type { Quota } from './quota.ts'

/** @param size bytes, where it is known how large the blob is */
export function blobTooLarge(quota: Quota, limit: number, size: number | undefined): RegistryError {
  const found = size === undefined ? 'this one is larger' : `this one has ${showBytes(size)}`
  return new RegistryError('BLOB_TOO_LARGE', {
    message: `a blob may have at most ${showBytes(limit)} (quota of ${quota.pattern}), ${found}`,
    detail: { quota: quota.pattern, limit, ...(size === undefined ? {} : { size }) }
  })
}

export interface Full {
  repository: string
  limit: number
  /** Bytes it holds. */
  used: number
  /** Bytes that would come on top, where that is known. */
  size: number | undefined
}

/** Without `Retry-After`: space comes back by what people delete, and regctl would wait in silence for as long as that says. */
export function repositoryFull(quota: Quota, { repository, limit, used, size }: Full): RegistryError {
  const wanted = size === undefined ? 'what is being pushed does' : `${showBytes(size)} more do`
  return new RegistryError('QUOTA_EXCEEDED', {
    message: `${repository} holds ${showBytes(used)} of the ${showBytes(limit)} it may (quota of ${quota.pattern}): ${wanted} not fit; delete what is not needed, or ask for more`,
    detail: { quota: quota.pattern, limit, used, ...(size === undefined ? {} : { size }) }
  })
}

export function tooManyUploads({ pattern, uploads: limit }: Quota, repository: string): RegistryError {
  return new RegistryError('TOOMANYREQUESTS', {
    message: `${repository} has ${limit} open uploads, as many as it may (quota of ${pattern}): finish or cancel some`,
    detail: { quota: pattern, limit },
    headers: { 'Retry-After': '30' }
  })
}

export function tooManyUploadsOfAll(limit: number): RegistryError {
  return new RegistryError('TOOMANYREQUESTS', {
    message: `too many open upload sessions (limit ${limit}): finish or cancel some`,
    headers: { 'Retry-After': '30' }
  })
}

/** @param wait ms until what is missing may be fetched */
export function fetchedEnough({ patterns, bytes, per }: FetchQuota, wait: number): RegistryError {
  const seconds = Math.ceil(wait / 1000)
  return new RegistryError('TOOMANYREQUESTS', {
    message: `this registry has fetched as much as it may, ${showBytes(bytes)} in ${showSeconds(per)} (fetch quota of ${patterns}): try again in ${seconds} s`,
    detail: { quota: patterns, limit: bytes },
    headers: { 'Retry-After': String(seconds) }
  })
}

/** More than any wait makes room for. */
export function fetchTooLarge({ patterns, bytes, per }: FetchQuota, needed: number): RegistryError {
  return new RegistryError('BLOB_TOO_LARGE', {
    message: `${showBytes(needed)} of the blob are to be fetched, and ${showBytes(bytes)} in ${showSeconds(per)} are all that may be (fetch quota of ${patterns}): push it, or ask for more`,
    detail: { quota: patterns, limit: bytes, size: needed }
  })
}

/** What a quota refused: nothing that is sent again would be taken. */
export function isQuotaRefusal(error: unknown): error is RegistryError {
  return error instanceof RegistryError && (error.reason === 'BLOB_TOO_LARGE' || error.reason === 'QUOTA_EXCEEDED')
}

const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** To two decimals, downwards for nobody: the exact number is in the `detail`. */
function showBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${Number((bytes / 1024 ** power).toFixed(2))} ${units[power]}`
}

function showSeconds(ms: number): string {
  return ms % 3_600_000 === 0 ? `${ms / 3_600_000} h` : `${Number((ms / 1000).toFixed(3))} s`
}
