/** A registry that asks who is there, on a socket, with somebody of every kind. */

import { type AccessPolicy, createAccess } from '../../src/access/authorize.ts'
import { createAuthentication } from '../../src/access/identify.ts'
import { createImmutableTags } from '../../src/access/immutable.ts'
import { parsePattern } from '../../src/access/pattern.ts'
import { openExternalTokens } from '../../src/credentials/external-tokens.ts'
import type { AppComponents, AppInit } from '../../src/http/app.ts'
import { publicJwk, Signer, sign } from '../credentials/signer.ts'
import { type Server, startServer } from '../oci-api/server.ts'
import { Authenticated, basic } from './authenticated.ts'

type Rule = AccessPolicy['rules'][number]

function rule(
  subject: Rule['subject'],
  pattern: string,
  actions: readonly ('pull' | 'push' | 'delete' | 'admin')[]
): Rule {
  return { subject, pattern: parsePattern(pattern), actions: new Set(actions) }
}

export const rules: readonly Rule[] = [
  rule({ kind: 'anonymous' }, 'public/**', ['pull']),
  rule({ kind: 'user' }, '**', ['pull', 'push']),
  rule({ kind: 'user' }, 'closed/**', []),
  rule({ kind: 'group', name: 'keepers' }, '**', ['pull', 'push', 'delete']),
  rule({ kind: 'user', name: 'root' }, '**', ['admin'])
]

/** Whoever may knock at a door. */
export type Who =
  | 'anonymous'
  | 'anonymous bearer'
  | 'user'
  | 'user bearer'
  | 'user in group'
  | 'user in group bearer'
  | 'pull token'
  | 'push token'
  | 'push token bearer'
  | 'create token'
  | 'admin token'
  | 'admin user'
  | 'admin bearer'
  | 'expired token'
  | 'removed user'
  | 'wrong password'

export interface Guarded {
  server: Server
  who: Authenticated
  /** `Authorization` of somebody, issued for this repository where that matters. */
  headerOf(who: Who, repository: string): Promise<string | undefined>
  close(): Promise<void>
}

export async function startGuarded(init: AppInit = {}, components: Partial<AppComponents> = {}): Promise<Guarded> {
  const who = await Authenticated.start(rules)
  await who.user('alice', 'secret')
  await who.user('kim', 'secret', ['keepers'])
  await who.user('root', 'secret')
  await who.user('gone', 'secret')
  const { tokens } = who
  const make = async (
    name: string,
    repositories: string,
    actions: Parameters<typeof tokens.create>[0]['grants'][number]['actions']
  ) => (await tokens.create({ name, grants: [{ repositories, actions }] })).token
  const secrets = {
    pull: await make('pull', 'team/**', ['pull']),
    push: await make('push', 'team/**', ['pull', 'push']),
    create: await make('create', 'team/**', ['pull', 'create']),
    admin: await make('admin', '**', ['admin']),
    expired: (
      await tokens.create({
        name: 'old',
        grants: [{ repositories: '**', actions: ['admin'] }],
        expiresAt: who.clock.ms + 1000
      })
    ).token
  }
  const gone = await who.bearer(basic('gone', 'secret'))
  who.users.delete('gone')
  who.clock.ms += 2000
  const server = await startServer({
    app: init,
    components: {
      ...createAccess({ rules }),
      authentication: who.authentication,
      immutable: createImmutableTags([{ repositories: parsePattern('**'), tags: 'fixed-*' }]),
      control: {
        node: { version: '1.2.3', identity: async () => ({ peerId: '12D3', multiaddrs: [] }) },
        access: { tokens, authenticating: true }
      },
      ...components
    }
  })
  const bearers = new Map<string, string>()
  const bearer = async (header: string | undefined, repository: string) => {
    const key = `${header} ${repository}`
    const known = bearers.get(key) ?? (await who.bearer(header, repository))
    bearers.set(key, known)
    return known
  }
  const headerOf = async (one: Who, repository: string): Promise<string | undefined> => {
    switch (one) {
      case 'anonymous':
        return undefined
      case 'anonymous bearer':
        return bearer(undefined, repository)
      case 'user':
        return basic('alice', 'secret')
      case 'user bearer':
        return bearer(basic('alice', 'secret'), repository)
      case 'user in group':
        return basic('kim', 'secret')
      case 'user in group bearer':
        return bearer(basic('kim', 'secret'), repository)
      case 'pull token':
        return `Bearer ${secrets.pull}`
      case 'push token':
        return basic('whoever', secrets.push)
      case 'push token bearer':
        return bearer(basic('whoever', secrets.push), repository)
      case 'create token':
        return `Bearer ${secrets.create}`
      case 'admin token':
        return `Bearer ${secrets.admin}`
      case 'admin user':
        return basic('root', 'secret')
      case 'admin bearer':
        return bearer(basic('root', 'secret'), repository)
      case 'expired token':
        return `Bearer ${secrets.expired}`
      case 'removed user':
        return gone
      case 'wrong password':
        // Of one nobody has, so that back-off never comes between.
        return `Bearer ${secrets.pull.slice(0, -1)}x`
    }
  }
  const close = async () => {
    await server.close()
    await who.close()
  }
  return { server, who, headerOf, close }
}

/** A registry that takes the word of another token server, and how that server signs. */
export async function startExternal() {
  const signer = new Signer()
  const key = signer.key('server')
  const jwks = signer.file(
    'jwks.json',
    JSON.stringify({ keys: [{ ...(await publicJwk(key)), kid: 'one', alg: 'ES256' }] })
  )
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const external = await openExternalTokens({ clock: Date, log }, { issuer: 'issuer', service: 'registry', jwks })
  const who = await Authenticated.start()
  const { authorize } = createAccess({ rules })
  const authentication = createAuthentication(
    { authorize, clock: Date, tokens: who.tokens, bearers: { external } },
    { service: 'registry', realm: 'https://auth.example/token' }
  )
  const server = await startServer({ components: { authorize, authentication } })
  const bearer = async (access: readonly { type: string; name: string; actions: readonly string[] }[]) => {
    const now = Math.floor(Date.now() / 1000)
    const claims = { iss: 'issuer', aud: 'registry', sub: 'eve', iat: now, nbf: now, exp: now + 200, access }
    return `Bearer ${await sign(key, { kid: 'one' }, claims)}`
  }
  const close = async () => {
    await server.close()
    await external.close()
    await who.close()
    signer.close()
  }
  return { server, bearer, close }
}
