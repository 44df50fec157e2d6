import { RegistryError } from '../errors.ts'
import { type Digest, isDigestShaped, parseDigest } from './digest.ts'
import { isNondistributable } from './media-types.ts'

export type Json = Record<string, unknown>

/** A descriptor as the manifest spells it, checked. */
export interface Descriptor {
  /** Empty where it says none. */
  mediaType: string
  digest: Digest
  /** Bytes. */
  size: number
  /** Only in an index: what the child says it runs on, as written. */
  platform?: unknown
  /** The registry need not hold it. */
  nondistributable: boolean
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function invalid(message: string, detail?: unknown): RegistryError {
  return new RegistryError('MANIFEST_INVALID', detail === undefined ? { message } : { message, detail })
}

/** No value: Go's encoder writes a nil slice, map or pointer as null and, without `omitempty`, an unset string as "". */
export function isAbsent(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

/** A descriptor as Go writes one that was never set. */
export function isUnset(value: unknown): boolean {
  return isObject(value) && isAbsent(value.digest)
}

/** A list of descriptors, of none where there is none. @throws {RegistryError} MANIFEST_INVALID, naming the `path` */
export function descriptors(value: unknown, path: string): Descriptor[] {
  if (isAbsent(value)) return []
  if (!Array.isArray(value)) throw invalid(`${path} is not a list of descriptors`)
  return value.map((entry, index) => descriptor(entry, `${path}[${index}]`))
}

/** @throws {RegistryError} MANIFEST_INVALID, naming the `path` */
export function descriptor(value: unknown, path: string): Descriptor {
  if (!isObject(value)) throw invalid(`${path} is not a descriptor`)
  const { size } = value
  const mediaType = value.mediaType ?? ''
  if (typeof mediaType !== 'string') throw invalid(`${path}.mediaType is not a string`)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw invalid(`${path}.size is not a number of bytes`)
  const digest = digestIn(value, parseDigest, path)
  const platform = isAbsent(value.platform) ? {} : { platform: value.platform }
  return { mediaType, digest, size, nondistributable: isNondistributable(mediaType), ...platform }
}

/** Those of a stored list that are descriptors. */
export function readDescriptors(value: unknown): Descriptor[] {
  return Array.isArray(value) ? value.flatMap(entry => readDescriptor(entry) ?? []) : []
}

/** `undefined` for what is none. */
export function readDescriptor(value: unknown): Descriptor | undefined {
  try {
    return descriptor(value, '')
  } catch {
    return undefined
  }
}

/** The digest in an object, by `parse`. @throws {RegistryError} MANIFEST_INVALID, naming the `path` */
export function digestIn<T>({ digest }: Json, parse: (value: string) => T, path: string): T {
  if (typeof digest !== 'string' || !isDigestShaped(digest)) throw invalid(`${path}.digest is not a digest`)
  try {
    return parse(digest)
  } catch (error) {
    throw new RegistryError('MANIFEST_INVALID', {
      message: `${path}.digest: ${error instanceof Error ? error.message : 'invalid'}`,
      cause: error
    })
  }
}
