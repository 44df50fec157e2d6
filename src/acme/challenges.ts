import type { Authorization } from 'acme-client'

/** How this node proves that a name leads to it. */
export interface Challenges {
  readonly type: 'tls-alpn-01' | 'http-01'
  /** The authority may ask from now on, until this is disposed of. */
  prepare(authorization: Authorization, token: string, answer: string): Promise<AsyncDisposable>
}
