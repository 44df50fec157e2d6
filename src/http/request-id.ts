import { randomBytes } from 'node:crypto'

const sane = /^[A-Za-z0-9._~:/+=@-]{1,128}$/

/** Names requests: the client's `X-Request-Id` where it is harmless in a header and a log line, else one of our own. */
export function createRequestIds(): (claimed: string | string[] | undefined) => string {
  const process = randomBytes(6).toString('base64url')
  let count = 0
  return claimed =>
    typeof claimed === 'string' && sane.test(claimed) ? claimed : `${process}-${(++count).toString(36)}`
}
