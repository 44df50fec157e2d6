import { isStorageFull, RegistryError } from '../errors.ts'

/** A full disk becomes STORAGE_FULL with its cause; anything else passes untouched. */
export function storageError(error: unknown): unknown {
  if (error instanceof RegistryError || !isStorageFull(error)) return error
  return new RegistryError('STORAGE_FULL', { cause: error })
}

export function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT')
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
