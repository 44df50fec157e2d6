import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startContainerd } from '../containerd.ts'
import { makePodman } from '../podman.ts'
import { describeWithTools, type ToolName } from '../tools.ts'
import { lenient, type Outcome, outcomeOf, shown } from './client.ts'
import { basic, type Guarded, passwords, startGuarded } from './guarded.ts'
import { crane } from './layout-clients.ts'

/** What `docker login` would keep: a refresh token instead of the password. */
async function identityToken(guarded: Guarded): Promise<string> {
  const url = new URL('/token', guarded.node.url)
  url.search = new URLSearchParams({ offline_token: 'true', client_id: 'test', account: 'alice' }).toString()
  const response = await fetch(url, { headers: { Authorization: basic('alice', passwords.alice) } })
  expect(response.status).toBe(200)
  const answer: { refresh_token: string } = JSON.parse(await response.text())
  return answer.refresh_token
}

/** Kubernetes hands a node's container runtime a Docker configuration: `kubectl create secret docker-registry`. */
describeWithTools(['crane'], 'a pull secret of Kubernetes', () => {
  let folder: string
  let guarded: Guarded
  let robot: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pinnace-pull-secret-'))
    guarded = await startGuarded()
    robot = await guarded.createToken('robot', '--repo', 'team/**', '--actions', 'pull')
    const client = await crane.start(guarded.host)
    await client.login('alice', passwords.alice)
    expect(await client.push('team/app')).toMatchObject({ exitCode: 0 })
    await client.close()
  })
  afterAll(async () => {
    await guarded?.close()
    await rm(folder, { recursive: true, force: true })
  })

  const encoded = (text: string): string => Buffer.from(text).toString('base64')
  const entries = {
    'auth, a robot’s token': () => Promise.resolve({ auth: encoded(`robot:${robot}`) }),
    'auth, a user’s password': () => Promise.resolve({ auth: encoded(`alice:${passwords.alice}`) }),
    'username and password beside auth': () =>
      Promise.resolve({ username: 'robot', password: robot, auth: encoded(`robot:${robot}`) }),
    identitytoken: async () => ({ auth: encoded('alice:'), identitytoken: await identityToken(guarded) })
  }
  /** As the file `.dockerconfigjson` of the secret, under the name that its reader looks for. */
  const written = async (name: string, entry: object, file: string): Promise<string> => {
    const own = join(folder, name.replaceAll(/\W/g, '-'))
    await mkdir(own, { recursive: true })
    await writeFile(join(own, file), JSON.stringify({ auths: { [guarded.host]: entry } }))
    return own
  }
  const wrong = { auth: encoded('robot:wrong') }
  type Pull = (name: string, entry: object) => Promise<Outcome>

  const pullers: { name: string; tools: ToolName[]; pull: Pull }[] = [
    {
      name: 'crane’s keychain',
      tools: ['crane'],
      pull: async (name, entry) => {
        const DOCKER_CONFIG = await written(`crane ${name}`, entry, 'config.json')
        return outcomeOf('crane', ['validate', '--remote', `${guarded.host}/team/app:v1`], { env: { DOCKER_CONFIG } })
      }
    },
    {
      name: 'containers/image in skopeo',
      tools: ['skopeo'],
      pull: async (name, entry) => {
        const own = await written(`skopeo ${name}`, entry, '.dockerconfigjson')
        const flags = ['--authfile', join(own, '.dockerconfigjson'), '--src-tls-verify=false']
        const [from, to] = [`docker://${guarded.host}/team/app:v1`, `dir:${join(own, 'pulled')}`]
        return outcomeOf('skopeo', ['--insecure-policy', '--tmpdir', folder, 'copy', ...flags, from, to])
      }
    },
    {
      name: 'containers/image in podman',
      tools: ['podman', 'umount'],
      pull: async (name, entry) => {
        const own = await written(`podman ${name}`, entry, '.dockerconfigjson')
        const podman = await makePodman()
        try {
          const flags = ['--authfile', join(own, '.dockerconfigjson'), '--tls-verify=false']
          return shown(await podman.podman(['pull', ...flags, `${guarded.host}/team/app:v1`], lenient()))
        } finally {
          await podman.close()
        }
      }
    }
  ]

  for (const { name, tools, pull } of pullers) {
    describeWithTools(tools, name, () => {
      it.each(Object.entries(entries))('pulls with %s', async (kind, make) => {
        const { exitCode, output } = await pull(kind, await make())
        expect(exitCode, output).toBe(0)
      })
      it('is refused with a wrong one', async () => {
        const { exitCode, output } = await pull('wrong', wrong)
        expect(exitCode).not.toBe(0)
        expect(output).toMatch(/unauthorized|invalid username\/password/i)
      })
    })
  }

  // The kubelet gives containerd what is in the secret; ctr is the same resolver with flags.
  describeWithTools(['containerd', 'ctr', 'umount'], 'containerd', () => {
    it('pulls with a token as password, and with an identity token', async () => {
      const containerd = await startContainerd()
      try {
        const pull = async (...flags: string[]): Promise<Outcome> =>
          shown(
            await containerd.ctr(['images', 'pull', '--plain-http', ...flags, `${guarded.host}/team/app:v1`], lenient())
          )
        for (const flags of [
          ['--user', `robot:${robot}`],
          ['--refresh', await identityToken(guarded)]
        ]) {
          const { exitCode, output } = await pull(...flags)
          expect(exitCode, output).toBe(0)
        }
        expect(await pull('--refresh', 'pinnacer_wrong')).not.toMatchObject({ exitCode: 0 })
      } finally {
        await containerd.close()
      }
    })
  })

  describe('an identity token', () => {
    it('ends with the password it was made with', async () => {
      const entry = await entries.identitytoken()
      const [crane] = pullers
      expect(await crane?.pull('before', entry)).toMatchObject({ exitCode: 0 })
      await guarded.setUsers(['bob', 'root'])
      const gone = async (): Promise<number | undefined> => (await crane?.pull('after', entry))?.exitCode
      await expect.poll(gone, { timeout: 20_000, interval: 500 }).not.toBe(0)
    })
  })
})
