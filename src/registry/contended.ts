import { RegistryError } from '../errors.ts'

/** Commits that a change tries whose conditions others, who change the same repository beside it, keep from holding. */
export const maxRounds = 5

/** What whoever lost all of them is told: trying again helps as soon as the others pause. */
export function contended(message: string, cause?: unknown): RegistryError {
  return new RegistryError('UNAVAILABLE', { message, headers: { 'Retry-After': '1' }, cause })
}
