import { RegistryError } from '../errors.ts'

/** What an `Authorization` header carries. */
export type Credential = { scheme: 'bearer'; token: string } | { scheme: 'basic'; username: string; password: string }

/** Bytes of a header value; Node itself takes 16 KiB of all headers together. */
const longestHeader = 16 * 1024
/** Bytes of a user name, also of one in a password file. */
export const longestName = 255
/** Bytes; bcrypt looks at the first 72. */
export const longestPassword = 1024
/** RFC 6750, section 2.1: `b64token`. */
const bearerForm = /^[A-Za-z0-9\-._~+/]+=*$/
const base64Form = /^[A-Za-z0-9+/]*={0,2}$/
/** RFC 7617, section 2: neither may contain control characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const control = /[\u0000-\u001f\u007f]/

/** Whether a header is of the Bearer scheme, whatever else it holds. */
export function isBearer(authorization: string): boolean {
  return authorization.slice(0, 7).toLowerCase() === 'bearer '
}

/**
 * Reads an `Authorization` header (RFC 9110, section 11.6.2): Bearer of RFC 6750 and Basic of RFC 7617, UTF-8.
 *
 * @throws {RegistryError} UNAUTHORIZED saying what is wrong, never what was sent
 */
export function parseCredential(authorization: string): Credential {
  if (authorization.length > longestHeader) throw malformed('it is longer than 16 KiB')
  const space = authorization.indexOf(' ')
  const scheme = (space < 0 ? authorization : authorization.slice(0, space)).toLowerCase()
  const rest = space < 0 ? '' : authorization.slice(space + 1).trim()
  if (scheme === 'bearer') {
    if (!bearerForm.test(rest)) throw malformed('what follows Bearer is no token')
    return { scheme, token: rest }
  }
  if (scheme === 'basic') return { scheme, ...parseBasic(rest) }
  throw malformed('only Basic and Bearer are understood')
}

/**
 * @throws {RegistryError} UNAUTHORIZED
 */
export function checkPassword(username: string, password: string): void {
  if (Buffer.byteLength(username) > longestName) throw malformed(`the user name is longer than ${longestName} bytes`)
  if (Buffer.byteLength(password) > longestPassword)
    throw malformed(`the password is longer than ${longestPassword} bytes`)
  if (control.test(username) || control.test(password)) throw malformed('it contains a control character')
}

function parseBasic(encoded: string): { username: string; password: string } {
  if (!base64Form.test(encoded)) throw malformed('what follows Basic is not base64')
  const bytes = Buffer.from(encoded, 'base64')
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw malformed('user name and password are not UTF-8', cause)
  }
  const colon = text.indexOf(':')
  if (colon < 0) throw malformed('there is no colon between user name and password')
  const [username, password] = [text.slice(0, colon), text.slice(colon + 1)]
  checkPassword(username, password)
  return { username, password }
}

function malformed(why: string, cause?: unknown): RegistryError {
  return new RegistryError('UNAUTHORIZED', {
    message: `the credential cannot be read: ${why}`,
    ...(cause === undefined ? {} : { cause })
  })
}
