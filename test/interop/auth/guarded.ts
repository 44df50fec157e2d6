import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { hash } from '@node-rs/bcrypt'
import { expect } from 'vitest'
import { type Pinnace, type PinnaceOptions, startPinnace } from '../node.ts'
import { ask } from '../registry-api.ts'

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

/** Users of a guarded node; alice and carol are in the group `dev`. */
export const passwords = {
  alice: 'correct horse',
  carol: 'battery staple',
  bob: 'in no group',
  root: 'owns the node'
} as const
export type User = keyof typeof passwords

/**
 * `public/**` for everyone to pull, `team/**` for the group `dev`, everything for root; bob may sign in, and no more than
 * anonymous.
 */
export const rules = [
  { subject: 'anonymous', repositories: 'public/**', actions: ['pull'] },
  { subject: 'group:dev', repositories: ['team/**', 'public/**'], actions: ['pull', 'push'] },
  { subject: 'user:root', repositories: '**', actions: ['admin'] }
]

export interface Request {
  /** When it was answered, ms since epoch. */
  at: number
  method: string
  path: string
  status: number
}

/** A node with users, groups and rules, whose files a test may change. */
export interface Guarded {
  readonly node: Pinnace
  readonly host: string
  /** Writes htpasswd and its groups anew, as `htpasswd` does: a new file, moved over the old one. */
  setUsers(users: readonly User[], dev?: readonly User[]): Promise<void>
  /** `pinnace token create`; gives the secret. */
  createToken(name: string, ...flags: string[]): Promise<string>
  removeToken(name: string): Promise<void>
  /** A request with a name and password, as `Authorization: Basic`. */
  as(user: User, path: string, init?: RequestInit): Promise<Response>
  /** A bearer token of `/token`. */
  bearer(user: User, scope: string): Promise<string>
  /** Requests that the node has answered until now, oldest first. */
  requests(): Promise<Request[]>
  close(): Promise<void>
}

export const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

export async function startGuarded(options: PinnaceOptions = {}): Promise<Guarded> {
  const folder = await mkdtemp(join(tmpdir(), 'pinnace-guarded-'))
  const path = join(folder, 'htpasswd')
  const groups = join(folder, 'groups')
  const hashes = new Map<User, string>()
  for (const user of Object.keys(passwords) as User[]) hashes.set(user, await hash(passwords[user], 10))
  const replace = async (file: string, text: string): Promise<void> => {
    await writeFile(`${file}.new`, text, { mode: 0o600 })
    await rename(`${file}.new`, file)
  }
  const setUsers: Guarded['setUsers'] = async (users, dev = ['alice', 'carol']) => {
    await replace(path, users.map(user => `${user}:${hashes.get(user)}\n`).join(''))
    await replace(groups, `dev: ${dev.join(' ')}\n`)
  }
  try {
    await setUsers(['alice', 'carol', 'bob', 'root'])
    const config = { auth: { htpasswd: { realm: 'test', path, groups } }, access: rules, ...options.config }
    const node = await startPinnace({ ...options, config })
    return guarded(node, setUsers, async () => {
      await node.close()
      await rm(folder, { recursive: true, force: true })
    })
  } catch (cause) {
    await rm(folder, { recursive: true, force: true })
    throw cause
  }
}

function guarded(node: Pinnace, setUsers: Guarded['setUsers'], close: () => Promise<void>): Guarded {
  return {
    node,
    host: node.host,
    setUsers,
    close,
    createToken: async (name, ...flags) => {
      const { stdout } = await node.pinnace(['token', 'create', '--name', name, ...flags])
      expect(stdout).toMatch(/^pinnace_[0-9A-Za-z]{26,}\n$/)
      return stdout.trim()
    },
    removeToken: async name => {
      await node.pinnace(['token', 'rm', name])
    },
    as: (user, path, init = {}) =>
      ask(node.url, path, { ...init, headers: { ...init.headers, Authorization: basic(user, passwords[user]) } }),
    bearer: async (user, scope) => {
      const url = new URL('/token', node.url)
      url.searchParams.set('scope', scope)
      const response = await fetch(url, { headers: { Authorization: basic(user, passwords[user]) } })
      expect(response.status).toBe(200)
      const answer: { token: string } = JSON.parse(await response.text())
      return answer.token
    },
    requests: () => answered(node)
  }
}

let marks = 0

/** What the log says comes through a pipe: a request of our own, once it is there, says that those before it are. */
async function answered(node: Pinnace): Promise<Request[]> {
  marks += 1
  const mark = `/v2/mark-${marks}/tags/list`
  await (await fetch(new URL(mark, node.url))).arrayBuffer()
  const deadline = AbortSignal.timeout(10_000)
  while (!requestsIn(node.logs()).some(({ path }) => path === mark)) await wait(20, undefined, { signal: deadline })
  return requestsIn(node.logs()).filter(({ path }) => !path.startsWith('/v2/mark-'))
}

function requestsIn(logs: string): Request[] {
  const form = /^time="([^"]+)" .*msg="request".* method=(\S+) url="?([^"\s]+)"? status=(\d+) /
  return logs
    .split('\n')
    .map(line => form.exec(line))
    .filter(match => match !== null)
    .map(([, time = '', method = '', path = '', status = '']) => ({
      at: Date.parse(time),
      method,
      path,
      status: Number(status)
    }))
}
