import { randomBytes } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'
import type { BearerClaims, BearerCodec, Clock } from '../access/ports.ts'
import type { Scope } from '../access/scope.ts'
import { RegistryError } from '../errors.ts'

export interface BearerCodecComponents {
  clock: Clock
}

export interface BearerCodecInit {
  /** Issuer and audience: what this registry calls itself. */
  service: string
}

const algorithm = 'HS256'

/**
 * Bearer tokens as JWTs under a key that nobody else has and that dies with the process: after a restart clients ask for
 * another token, which they do by themselves.
 */
export function createBearerCodec({ clock }: BearerCodecComponents, { service }: BearerCodecInit): BearerCodec {
  const key = new Uint8Array(randomBytes(32))
  return {
    sign({ subject, scopes, issuedAt, expiresAt }) {
      return new SignJWT({ for: subject, access: scopes })
        .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
        .setIssuer(service)
        .setAudience(service)
        .setSubject(subject.kind === 'user' ? subject.name : subject.kind === 'token' ? subject.id : '')
        .setIssuedAt(issuedAt / 1000)
        .setNotBefore(issuedAt / 1000)
        .setExpirationTime(expiresAt / 1000)
        .sign(key)
    },
    async verify(token) {
      try {
        const { payload } = await jwtVerify<Partial<Payload>>(token, key, {
          algorithms: [algorithm],
          issuer: service,
          audience: service,
          requiredClaims: ['exp', 'iat'],
          currentDate: new Date(clock.now())
        })
        // Nobody but `sign` has the key, so the rest is of its form.
        const { for: subject, access, iat = 0, exp = 0 } = payload
        if (subject === undefined || access === undefined) throw new TypeError('a bearer token of another form')
        return { subject, scopes: access, issuedAt: iat * 1000, expiresAt: exp * 1000 }
      } catch (error) {
        throw new RegistryError('UNAUTHORIZED', { message: explain(error) })
      }
    }
  }
}

interface Payload {
  for: BearerClaims['subject']
  access: readonly Scope[]
}

function explain(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'the bearer token has expired: ask for another'
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return 'the bearer token was not issued by this registry, or before its last start: ask for another'
  return 'the bearer token cannot be read'
}
