export type EgressReason =
  | 'ADDRESS_REFUSED'
  | 'URL_INVALID'
  | 'REDIRECT_INVALID'
  | 'TOO_MANY_REDIRECTS'
  | 'TOO_LARGE'
  | 'TIMEOUT'

/** A call that this node did not make, or did not finish, by its own rule. What the network says passes as it is. */
export class EgressError extends Error {
  override readonly name = 'EgressError'
  /** Never changes between major versions; the message may. */
  readonly code: EgressReason

  constructor(code: EgressReason, message: string, init: { cause?: unknown } = {}) {
    super(message, init)
    this.code = code
  }
}
