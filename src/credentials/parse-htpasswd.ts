import { longestName } from '../access/identify-credential.ts'
import { InvalidText } from './credential-file.ts'

const bcrypt = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/
/** Least of the algorithm, and the most a client would wait for: each step doubles the time, and 12 takes about 0.2 s. */
const costs = { least: 4, most: 16 }
const mostUsers = 100_000
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const control = /[\u0000-\u001f\u007f]/

/** Prefixes of other hashes that Apache's and other tools write. */
const others: readonly (readonly [prefix: string, name: string])[] = [
  ['$apr1$', 'MD5 (apr1)'],
  ['$1$', 'MD5'],
  ['$5$', 'SHA-256'],
  ['$6$', 'SHA-512'],
  ['$y$', 'yescrypt'],
  ['$argon2', 'Argon2'],
  ['$2x$', 'the broken bcrypt of 2011 ($2x$)'],
  ['$2', 'damaged bcrypt'],
  ['{SHA}', 'SHA-1']
]

/**
 * Users and their hashes from the text of an htpasswd file: `name:hash` lines, blank ones and comments (`#`). Only bcrypt.
 * Of a name that stands there twice the last line counts, as in distribution.
 *
 * @throws {InvalidText} naming the line, never the hash
 */
export function parseHtpasswd(text: string): Map<string, string> {
  const users = new Map<string, string>()
  for (const [line, entry] of linesOf(text)) {
    const colon = entry.indexOf(':')
    if (colon < 0) throw new InvalidText('no colon: a line is NAME:HASH, as "htpasswd -B" writes it', line)
    const [name, hash] = [entry.slice(0, colon), entry.slice(colon + 1)]
    checkName(name, line)
    checkHash(hash, line)
    users.set(name, hash)
    if (users.size > mostUsers) throw new InvalidText(`more than ${mostUsers} users`, line)
  }
  return users
}

/** Cost of a bcrypt hash that {@link parseHtpasswd} took. */
export function costOf(hash: string): number {
  return Number(bcrypt.exec(hash)?.[1])
}

/** Lines that say something, with their numbers from 1. */
export function* linesOf(text: string): Generator<[line: number, entry: string]> {
  let line = 0
  for (const raw of text.replace(/^\ufeff/, '').split('\n')) {
    line++
    const entry = raw.trim()
    if (entry !== '' && !entry.startsWith('#')) yield [line, entry]
  }
}

function checkName(name: string, line: number): void {
  if (name === '') throw new InvalidText('no user name before the colon', line)
  if (control.test(name)) throw new InvalidText('the user name contains a control character', line)
  if (Buffer.byteLength(name) > longestName)
    throw new InvalidText(`the user name is longer than ${longestName} bytes`, line)
}

function checkHash(hash: string, line: number): void {
  const cost = bcrypt.exec(hash)?.[1]
  if (cost === undefined) {
    const kind =
      others.find(([prefix]) => hash.startsWith(prefix))?.[1] ?? 'something else, perhaps the password itself'
    throw new InvalidText(`the password is kept as ${kind}, and only bcrypt is read: make it with "htpasswd -B"`, line)
  }
  if (Number(cost) < costs.least || Number(cost) > costs.most) {
    throw new InvalidText(
      `bcrypt of cost ${Number(cost)}: ${costs.least} to ${costs.most} are read, as "htpasswd -B -C 12" makes them`,
      line
    )
  }
}
