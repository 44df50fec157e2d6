import { RegistryError } from '../errors.ts'
import { parsePattern } from './pattern.ts'
import type { TokenRecord } from './ports.ts'

/** A token as somebody wants it. */
export interface NewToken {
  /** Letters, digits, `.`, `_`, `-`; at most 64; unique. */
  name: string
  grants: TokenRecord['grants']
  /** ms since epoch; absent: never. */
  expiresAt?: number
}

const nameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const mostGrants = 64

/** @throws {RegistryError} REQUEST_INVALID or NAME_INVALID naming what is wrong */
export function checkNewToken({ name, grants, expiresAt }: NewToken, now: number): void {
  if (!nameForm.test(name))
    throw refused(
      `a token cannot be named ${JSON.stringify(name.slice(0, 80))}: 1 to 64 letters, digits, ".", "_", "-"`
    )
  if (grants.length === 0 || grants.length > mostGrants)
    throw refused(`a token needs 1 to ${mostGrants} patterns of repositories`)
  if (grants.some(grant => grant.actions.length === 0)) throw refused('a token needs at least one action')
  if (expiresAt !== undefined && !(expiresAt > now)) throw refused('a token cannot expire in the past')
  for (const { repositories } of grants) parsePattern(repositories)
}

export function refused(message: string): RegistryError {
  return new RegistryError('REQUEST_INVALID', { message })
}
