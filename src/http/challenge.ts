import type { IncomingMessage } from 'node:http'
import type { ChallengeInit } from '../access/authentication.ts'
import { formatScopes, type Scope } from '../access/scope.ts'
import type { Locations } from './location.ts'

/** Why a credential that was sent is not enough (RFC 6750, section 3.1). */
export type ChallengeError = 'invalid_token' | 'insufficient_scope'

/** Builds what stands in `WWW-Authenticate`. */
export interface Challenges {
  /** For a door that takes bearer tokens (distribution's token authentication; RFC 6750, section 3). */
  bearer(request: IncomingMessage, scopes: readonly Scope[], error?: ChallengeError): string
  /** For one that takes passwords and own tokens only (RFC 7617, section 2). */
  readonly basic: string
}

export function createChallenges(init: ChallengeInit, locations: Locations): Challenges {
  const service = quote(init.service)
  const realmOf = realmFor(init, locations)
  return {
    basic: `Basic realm=${service}, charset="UTF-8"`,
    bearer: (request, scopes, error) => {
      const scope = scopes.length === 0 ? '' : `,scope=${quote(formatScopes(scopes))}`
      const why = error === undefined ? '' : `,error="${error}"`
      return `Bearer realm=${realmOf(request)},service=${service}${scope}${why}`
    }
  }
}

function realmFor({ realm, realmPath }: ChallengeInit, locations: Locations): (request: IncomingMessage) => string {
  if (realmPath !== undefined) return request => quote(locations.atRoot(request, realmPath))
  if (realm === undefined) return request => quote(locations.absolute(request, '/token'))
  // As it was written, which some clients compare with, but for characters that no header can hold.
  const quoted = quote(ascii.test(realm) ? realm : new URL(realm).href)
  return () => quoted
}

const ascii = /^[\x20-\x7e]*$/

/** A quoted string (RFC 9110, section 5.6.4), of ASCII: clients do not agree on what else would mean. */
function quote(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')}"`
}
