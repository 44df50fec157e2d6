import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Pinnace, startPinnace } from '../node.ts'
import { ask } from '../registry-api.ts'
import { describeWithTools } from '../tools.ts'
import type { AuthClient, ClientInit, Outcome } from './client.ts'
import { ctr, docker, dockerOnContainerd, podman } from './engine-clients.ts'
import { basic } from './guarded.ts'
import { helm } from './helm-client.ts'
import { crane, oras, regctl, skopeo } from './layout-clients.ts'
import { type ForeignTokenServer, startTokenServer } from './token-server.ts'

const [issuer, service] = ['token server of a test', 'registry of a test']
const users = { alice: 'correct horse', bob: 'battery staple' }

/** What `auth.token` says of where the key is. */
const proofs = ['rootcertbundle', 'jwks'] as const

describeWithTools(['token-server', 'openssl'], 'an external token server', () => {
  let server: ForeignTokenServer
  beforeAll(async () => {
    server = await startTokenServer({ issuer, service, users })
  })
  afterAll(() => server?.close())

  const start = (proof: (typeof proofs)[number], overrides: Record<string, string> = {}): Promise<Pinnace> =>
    startPinnace({
      config: { auth: { token: { realm: server.realm, issuer, service, [proof]: server[proof], ...overrides } } }
    })
  const tokenOf = async (user: keyof typeof users, scope: string): Promise<string> => {
    const url = new URL(server.realm)
    url.searchParams.set('service', service)
    url.searchParams.set('scope', scope)
    const response = await fetch(url, { headers: { Authorization: basic(user, users[user]) } })
    const answer: { access_token: string } = JSON.parse(await response.text())
    return answer.access_token
  }
  const listWith = async (node: Pinnace, token: string): Promise<number> =>
    (await ask(node.url, 'alice/app/tags/list', { headers: { Authorization: `Bearer ${token}` } })).status

  describe.each(proofs)('whose key is in %s', proof => {
    let node: Pinnace
    beforeAll(async () => {
      node = await start(proof)
    })
    afterAll(() => node?.close())

    it('is where clients are sent', async () => {
      const answer = await ask(node.url, '')
      expect(answer.status).toBe(401)
      const challenge = `Bearer realm="${server.realm}",service="${service}"`
      expect(answer.headers.get('www-authenticate')).toBe(challenge)
    })

    it('decides alone who may do what', async () => {
      const pull = await tokenOf('alice', 'repository:alice/app:pull')
      // It may; there is nothing yet.
      expect(await listWith(node, pull)).toBe(404)
      expect(await listWith(node, await tokenOf('bob', 'repository:alice/app:pull'))).not.toBe(404)
    })

    it('has signed what is accepted, to the last bit', async () => {
      const [head = '', claims = '', signature = ''] = (await tokenOf('alice', 'repository:alice/app:pull')).split('.')
      const forged = Buffer.from(Buffer.from(claims, 'base64url').toString().replace('"pull"', '"*"'))
      expect(await listWith(node, `${head}.${forged.toString('base64url')}.${signature}`)).toBe(401)
    })

    const clients: ClientInit[] =
      proof === 'jwks' ? [docker, dockerOnContainerd, podman, ctr] : [crane, helm, oras, regctl, skopeo]
    for (const init of clients) {
      describeWithTools(init.tools, init.name, () => {
        it('logs in, pushes, pulls, and only where it may', async () => {
          const client = await init.start(node.host)
          try {
            await throughExternal(client)
          } finally {
            await client.close()
          }
        })
      })
    }
  })

  it('is not believed with another issuer, audience or key', async () => {
    const token = await tokenOf('alice', 'repository:alice/app:pull')
    const another = await startTokenServer({ issuer, service, users })
    try {
      const strangers: Record<string, string>[] = [
        { issuer: 'somebody else' },
        { service: 'another registry' },
        { rootcertbundle: another.rootcertbundle }
      ]
      for (const overrides of strangers) {
        const node = await start('rootcertbundle', overrides)
        try {
          expect(await listWith(node, token)).toBe(401)
        } finally {
          await node.close()
        }
      }
    } finally {
      await another.close()
    }
  })
})

async function throughExternal(client: AuthClient): Promise<void> {
  const works = async (running: Promise<Outcome>): Promise<void> => {
    const { exitCode, output } = await running
    expect(exitCode, output).toBe(0)
  }
  await works(client.login('alice', users.alice))
  await works(client.push('alice/app'))
  await works(client.pull('alice/app'))
  if (client.mount !== undefined) await works(client.mount('alice/app', 'alice/mounted'))
  expect((await client.push('bob/app')).exitCode).not.toBe(0)
  await client.logout()
  expect((await client.pull('alice/app')).exitCode).not.toBe(0)
}
