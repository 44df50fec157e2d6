import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ask } from '../registry-api.ts'
import { describeWithTools } from '../tools.ts'
import type { AuthClient, ClientInit, Outcome } from './client.ts'
import { type Guarded, passwords, rules, startGuarded, type User } from './guarded.ts'

/**
 * Requests that a refused command may cost: a push has three blobs, which skopeo asks for here and elsewhere, mounts and opens,
 * all before it says anything. Retries would be several times as many.
 */
const fewRequests = 24

/** What every client is put through, on a node of its own. */
export function describeAuthentication(init: ClientInit): void {
  describeWithTools(init.tools, init.name, () => {
    let guarded: Guarded
    let client: AuthClient
    beforeAll(async () => {
      guarded = await startGuarded()
      client = await init.start(guarded.host)
    })
    afterAll(async () => {
      await client?.close()
      await guarded?.close()
    })

    const works = (outcome: Outcome): void => {
      if (outcome.exitCode !== 0) throw new Error(`${outcome.output}\n${guarded.node.logs().slice(-4000)}`)
    }
    const fails = (outcome: Outcome, words: RegExp): void => {
      expect(outcome.exitCode, outcome.output).not.toBe(0)
      expect(outcome.output).toMatch(words)
    }
    /** Some clients try a credential when it is given, the others when it is needed. */
    const loginAndPull = async (user: string, password: string, repository: string): Promise<Outcome> => {
      const login = await client.login(user, password)
      return login.exitCode === 0 ? client.pull(repository) : login
    }
    const signIn = async (user: User): Promise<void> => works(await client.login(user, passwords[user]))
    const counted = async (run: () => Promise<Outcome>): Promise<{ outcome: Outcome; statuses: number[] }> => {
      const before = (await guarded.requests()).length
      const outcome = await run()
      const requests = (await guarded.requests()).slice(before)
      return { outcome, statuses: requests.map(({ status }) => status) }
    }
    const absent = async (repository: string): Promise<void> => {
      expect((await guarded.as('root', `${repository}/tags/list`)).status).toBe(404)
      const catalog: { repositories: string[] } = JSON.parse(await (await guarded.as('root', '_catalog')).text())
      expect(catalog.repositories).not.toContain(repository)
    }

    it('pushes and pulls with a password', async () => {
      await signIn('alice')
      works(await client.push('team/app'))
      works(await client.pull('team/app'))
    })

    // Not in the table of a client that never asks for a mount: there is nothing that could go wrong.
    if (init.mounts !== false) {
      it('mounts from another private repository of the same user', async () => {
        await signIn('alice')
        const before = (await guarded.requests()).length
        if (client.mount === undefined) throw new Error(`${init.name} has no mount to be tried`)
        works(await client.mount('team/app', 'team/mounted'))
        const mounts = (await guarded.requests())
          .slice(before)
          .filter(({ method, path }) => method === 'POST' && /[?&]mount=/.test(path))
        expect(mounts.filter(({ path }) => path.includes('from=team/app')).length).toBeGreaterThan(0)
        expect(mounts.map(({ status }) => status)).toContain(201)
        works(await client.pull('team/mounted'))
      })
    }

    it('is refused for anonymous, in a private repository', async () => {
      await client.logout()
      const { outcome, statuses } = await counted(() => client.pull('team/app'))
      fails(outcome, /unauthorized|401|authentication required|authorization failed|pull access denied/i)
      expect(statuses.length).toBeLessThanOrEqual(fewRequests)
      const push = await counted(() => client.push('team/anonymous'))
      expect(push.outcome.exitCode).not.toBe(0)
      await absent('team/anonymous')
    })

    it('pushes after a login where anonymous pulls', async () => {
      await signIn('alice')
      works(await client.push('public/app'))
      await client.logout()
      works(await client.pull('public/app'))
      // Another repository: some clients are content when what they push is there already.
      const { outcome, statuses } = await counted(() => client.push('public/anonymous'))
      expect(outcome.exitCode, outcome.output).not.toBe(0)
      expect(statuses.filter(status => status === 201 || status === 202)).toEqual([])
      await absent('public/anonymous')
    })

    it('says that a password is wrong, and does not try it again and again', async () => {
      const { outcome, statuses } = await counted(() => loginAndPull('alice', 'wrong', 'team/app'))
      fails(outcome, init.says.wrong)
      expect(statuses).toContain(401)
      expect(statuses.length).toBeLessThanOrEqual(fewRequests)
      await client.logout()
    })

    it('is told of a right that is not there, not of a wrong password', async () => {
      await signIn('bob')
      const { outcome, statuses } = await counted(() => client.pull('team/app'))
      fails(outcome, init.says.denied)
      expect(statuses).toContain(403)
      expect(statuses.length).toBeLessThanOrEqual(fewRequests)
    })

    it('is refused from the next request on when the rules are others, and let in again', async () => {
      await signIn('alice')
      works(await client.pull('team/app'))
      await guarded.node.reconfigure({ access: rules.filter(({ subject }) => subject !== 'group:dev') })
      fails(await client.pull('team/app'), init.says.denied)
      await guarded.node.reconfigure({ access: rules })
      works(await client.pull('team/app'))
    })

    it('pulls with a token that may only pull, and stores nothing by a push', async () => {
      const secret = await guarded.createToken('robot', '--repo', 'team/**', '--actions', 'pull')
      works(await client.login('robot', secret))
      works(await client.pull('team/app'))
      const { outcome, statuses } = await counted(() => client.push('team/denied'))
      fails(outcome, init.says.denied)
      expect(statuses).toContain(403)
      expect(statuses.filter(status => status === 201 || status === 202)).toEqual([])
      expect(statuses.length).toBeLessThanOrEqual(fewRequests)
      await absent('team/denied')
    })

    it('is refused with a token that has been removed', async () => {
      const secret = await guarded.createToken('removed', '--repo', 'team/**', '--actions', 'pull,push')
      works(await loginAndPull('removed', secret, 'team/app'))
      await guarded.removeToken('removed')
      const { outcome, statuses } = await counted(() => client.pull('team/app'))
      fails(outcome, init.says.wrong)
      expect(statuses.length).toBeLessThanOrEqual(fewRequests)
    })

    it('is refused with a token that has expired', async () => {
      const end = Math.ceil(Date.now() / 1000 + 3) * 1000
      const expires = new Date(end).toISOString().replace('.000', '')
      const secret = await guarded.createToken('short', '--repo', 'team/**', '--actions', 'pull', '--expires', expires)
      works(await loginAndPull('short', secret, 'team/app'))
      await wait(end + 10 - Date.now())
      fails(await client.pull('team/app'), init.says.wrong)
      fails(await loginAndPull('short', secret, 'team/app'), init.says.wrong)
    })

    it('keeps nothing of a login after logout', async () => {
      await signIn('alice')
      if (init.keepsToken) {
        const kept = await client.stored?.()
        expect(kept).toMatch(/"identitytoken": "pinnacer_\w+"/)
        expect(kept).not.toContain(Buffer.from(`alice:${passwords.alice}`).toString('base64'))
      }
      works(await client.logout())
      if (client.stored !== undefined) {
        const kept = await client.stored()
        expect(kept).not.toContain(Buffer.from(`alice:${passwords.alice}`).toString('base64'))
        expect(kept).not.toContain(passwords.alice)
        expect(kept).not.toContain('pinnacer_')
      }
      fails(await client.push('team/after'), /unauthorized|401|authentication required|authorization failed|denied/i)
      await absent('team/after')
    })

    it('is refused with the next request once its user is gone, or out of the group', async () => {
      await signIn('carol')
      works(await client.pull('team/app'))
      const held = await guarded.bearer('carol', 'repository:team/app:pull')
      const answer = async (): Promise<number> =>
        (await ask(guarded.node.url, 'team/app/tags/list', { headers: { Authorization: `Bearer ${held}` } })).status
      expect(await answer()).toBe(200)
      await guarded.setUsers(['alice', 'carol', 'bob', 'root'], ['alice'])
      await expect.poll(answer, { timeout: 20_000 }).toBe(403)
      fails(await client.pull('team/app'), init.says.denied)
      await guarded.setUsers(['alice', 'bob', 'root'], ['alice'])
      await expect.poll(answer, { timeout: 20_000 }).toBe(401)
      fails(await client.pull('team/app'), init.says.wrong)
    })

    it('leaves no secret in the log of the node', () => {
      const logs = guarded.node.logs()
      for (const password of Object.values(passwords)) expect(logs).not.toContain(password)
      expect(logs).not.toMatch(/pinnacer?_[0-9A-Za-z]{26}/)
      expect(logs).not.toMatch(/eyJ[\w-]{20}/)
    })
  })
}
