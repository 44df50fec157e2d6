import { hash } from '@node-rs/bcrypt'

/** bcrypt takes no more, and would take the rest of a longer password for nothing. */
export const longestPassword = 72

/** Twice as dear for each one more: about 50 ms of a core at 10, which a sign-in costs too. */
const cost = 10

/** The bcrypt hash of a password, `$2y$…`, as an htpasswd file has it. @throws {RangeError} for more than 72 bytes */
export async function hashPassword(password: string): Promise<string> {
  if (Buffer.byteLength(password) > longestPassword) throw new RangeError(`longer than ${longestPassword} bytes`)
  // Written $2b$ by the library; the two mean the same, and Apache's own programs know this one everywhere.
  return (await hash(password, cost)).replace(/^\$2b\$/, () => '$2y$')
}
