import { createHmac, randomBytes } from 'node:crypto'
import type { PasswordEntry, PasswordFile } from '../access/ports.ts'
import { shellWord } from '../file-access.ts'
import type { Log } from '../registry/ports.ts'
import { parseGroups } from './parse-groups.ts'
import { costOf, parseHtpasswd } from './parse-htpasswd.ts'
import { bothOpened, type WatchedFile, type WatchedFileInit, watchFile } from './watched-file.ts'

export interface PasswordFileComponents {
  log: Log
}

export interface PasswordFileInit extends Pick<WatchedFileInit<unknown>, 'pollMs' | 'settleMs'> {
  /** The htpasswd file. */
  path: string
  /** Apache's `AuthGroupFile`. */
  groups?: string
}

/** Below this bcrypt is so cheap that a stolen file gives its passwords away; Apache's default is 5. */
const weakCost = 10
/** What an unknown name costs where nobody has a password yet. */
const defaultCost = 12

/**
 * Opens users and groups, and follows their files.
 *
 * @throws {CredentialFileError} naming file and line, or an `AggregateError` of two; a file that is not there is made by nobody
 *   but the operator (CVE-2026-4404)
 */
export async function openPasswordFile(
  components: PasswordFileComponents,
  { path, groups: groupsPath, ...times }: PasswordFileInit
): Promise<PasswordFile> {
  let users: WatchedFile<Map<string, string>> | undefined
  let groups: WatchedFile<Map<string, string[]>> | undefined
  let entries = new Map<string, PasswordEntry>()
  let costs: readonly number[] = []
  const join = () => {
    if (users !== undefined) entries = entriesOf(users.content, groups?.content)
  }
  const count = () => {
    if (users !== undefined) costs = costsOf(components.log, path, users.content)
    join()
  }
  const passwords = { path, parse: parseHtpasswd, changed: count, secret: true, make: makeUser(path) }
  const openGroups = async (file: string) =>
    watchFile(components, { path: file, parse: parseGroups, changed: join, make: makeGroup(file), ...times })
  ;[users, groups] = await bothOpened(
    watchFile(components, { ...passwords, ...times }),
    groupsPath === undefined ? Promise.resolve(undefined) : openGroups(groupsPath)
  )
  count()
  const pepper = randomBytes(32)
  return {
    entry: name => entries.get(name),
    decoy: name => decoyOf(costs, pepper, name),
    async close() {
      await Promise.all([users?.close(), groups?.close()])
    }
  }
}

function makeUser(path: string): string {
  return `pinnace user hash NAME >> ${shellWord(path)}`
}

function makeGroup(path: string): string {
  return `echo 'GROUP: NAME NAME' >> ${shellWord(path)}`
}

const none: readonly string[] = []

function entriesOf(users: Map<string, string>, groups: Map<string, string[]> | undefined): Map<string, PasswordEntry> {
  return new Map([...users].map(([name, hash]) => [name, { name, hash, groups: groups?.get(name) ?? none }]))
}

/** The cost of every user's hash. */
function costsOf(log: Log, file: string, users: Map<string, string>): number[] {
  const costs = [...users.values()].map(costOf)
  const weak = costs.filter(cost => cost < weakCost).length
  if (weak > 0) {
    log.warn({ file, users: weak }, `bcrypt of a cost below ${weakCost} is weak: make it with "htpasswd -B -C 12"`)
  }
  if (costs.length === 0) log.warn({ file }, 'it has no users: nobody can sign in with a password')
  return costs
}

/**
 * A name that nobody has gets the cost of some user, always the same one: costs then tell no more about who is there than
 * how many users have which.
 */
function decoyOf(costs: readonly number[], pepper: Uint8Array, name: string): string {
  const pick = createHmac('sha256', pepper).update(name).digest().readUInt32BE()
  const cost = costs[pick % Math.max(1, costs.length)] ?? defaultCost
  return `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`
}
