import type { Socket } from 'node:net'
import type { SecureContext, SecureContextOptions } from 'node:tls'

/** The certificate of a listener, where it is not one for good. */
export interface Certificates {
  /** Calls back at once with the certificate and key there is, if any, and with each that replaces it. */
  follow(use: (pair: CertificatePair) => void): void
  /** By the server name of a handshake; `undefined` where the followed one serves. May wait a few seconds; rejects when there is none yet. */
  select?(servername: string): Promise<SecureContext | undefined>
  /** Handshakes that only an ACME authority makes (TLS-ALPN-01, RFC 8737). */
  readonly challenge?: ChallengeHandshakes
}

export type CertificatePair = Required<Pick<SecureContextOptions, 'cert' | 'key'>>

export interface ChallengeHandshakes {
  /** Whether one is expected at all: only then are connections looked at. */
  readonly expected: boolean
  /** The connection is the callee's from now on. */
  answer(socket: Socket): void
}
